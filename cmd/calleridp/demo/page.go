// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// view is what page.html shows.
type view struct {
	Title, Note, Phone, Account, Nonce, CSS string
	SignIn                                  bool
	Person                                  *person // who is signed in; nil for none
	IDToken, Userinfo                       []row
	Requests                                []string
}

func (v view) Style() template.CSS { return template.CSS(v.CSS) }

// person is what the page shows of who is signed in, before all that was received.
type person struct {
	Name, Initials, Number string
	Verified               bool // the number is
	Facts                  []fact
}

// fact is one line about a person.
type fact struct{ Name, Value, Tag string }

// personOf returns the person whom claims describe.
func personOf(claims map[string]any) *person {
	text := func(name string) string { s, _ := claims[name].(string); return s }
	p := &person{Name: cmp.Or(text("name"), "Someone"), Number: text("phone_number")}
	p.Verified, _ = claims["phone_number_verified"].(bool)
	for part := range strings.FieldsSeq(p.Name) {
		if first, _ := utf8.DecodeRuneInString(part); len(p.Initials) < 2 {
			p.Initials += string(first)
		}
	}
	add := func(name, value, tag string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{name, value, tag})
		}
	}
	tag := ""
	if verified, _ := claims["email_verified"].(bool); !verified {
		tag = "not verified"
	}
	add("E-mail", text("email"), tag)
	if address, ok := claims["address"].(map[string]any); ok {
		formatted, _ := address["formatted"].(string)
		add("Address", strings.ReplaceAll(formatted, "\n", ", "), "")
	}
	add("Website", text("website"), "")
	add("Subject", text("sub"), "")
	return p
}

// row is a claim, formatted.
type row struct{ Name, Value, Meaning string }

func rows(claims map[string]any) []row {
	var all []row
	for name, value := range claims {
		r := row{Name: name}
		switch v := value.(type) {
		case string:
			r.Value = v
		case float64:
			raw, _ := json.Marshal(int64(v))
			r.Value = string(raw)
			if v > 1e9 {
				r.Meaning = time.Unix(int64(v), 0).UTC().Format("2006-01-02 15:04:05 MST")
			}
		default:
			raw, _ := json.Marshal(v)
			r.Value = string(raw)
		}
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

//go:embed page.html page.css
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

func (d *Demo) show(w http.ResponseWriter, status int, v view) {
	css, err := files.ReadFile("page.css")
	if err != nil {
		panic(err) // it is embedded
	}
	v.CSS, v.Nonce = d.cfg.Tokens+string(css), rand.Text()
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		d.cfg.Log.Error("demo: a page could not be drawn", "error", err)
		http.Error(w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'nonce-"+v.Nonce+"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

func (d *Demo) fail(w http.ResponseWriter, what string, err error) {
	d.cfg.Log.Warn("demo", "what", what, "error", err)
	d.show(w, http.StatusBadGateway, view{Title: "It did not work", Note: what})
}
