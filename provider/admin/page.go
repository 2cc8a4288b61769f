// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
)

// Paging is which part of a list is wanted.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"1024" doc:"Where the page begins: next of the page before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many items the page has at most."`
}

// Page is a part of a list. Items have a fixed order. What is added or removed while a
// caller reads page after page is on a later page or on none; nothing else is on two pages
// or left out.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page. Absent: this is the last one."`
}

const (
	usualPage   = 100
	longestPage = 500
)

func (p Paging) limit() int {
	if p.Limit < 1 {
		return usualPage
	}
	return min(p.Limit, longestPage)
}

var errCursor = refused(http.StatusUnprocessableEntity, "cursor is not from a page of this list; begin without one")

// after returns the key of the last item on the page before, "" for the first page.
func (p Paging) after() (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return "", errCursor
	}
	return string(raw), nil
}

func cursor(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// pageOf returns a part of a list that is read as a whole. key is unique, and orders it.
func pageOf[T any](all []T, paging Paging, key func(T) string) (Page[T], error) {
	after, err := paging.after()
	if err != nil {
		return Page[T]{}, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(item T) bool { return after != "" && key(item) <= after })
	slices.SortFunc(all, func(x, y T) int { return cmp.Compare(key(x), key(y)) })
	page := Page[T]{Items: all}
	if most := paging.limit(); len(all) > most {
		page.Items, page.Next = all[:most], cursor(key(all[most-1]))
	}
	if page.Items == nil {
		page.Items = []T{}
	}
	return page, nil
}
