// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"calleridp/ui/page"
)

// An operator may replace built-in files, in a folder of the same structure:
//
//	templates/NAME.html   a page, or layout.html, which is around all of them
//	locales/TAG.json      some texts of a language, or all texts of a new one
//	static/custom.css     added at the end of the stylesheet
//	static/icon.svg       the icon in the browser's tab
//
// New checks all of it, so that a mistake stops the server and not a visitor.

// overlay reads a file from over, and if it has no such file, or is nil, from under.
type overlay struct{ over, under fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	if o.over != nil {
		if file, err := o.over.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return o.under.Open(name)
}

// overridable reports whether a file of the operator's folder has a meaning.
func overridable(path string) bool {
	if path == "static/custom.css" || path == "static/icon.svg" {
		return true
	}
	if name, ok := strings.CutPrefix(path, "templates/"); ok {
		name, ok = strings.CutSuffix(name, ".html")
		return ok && (name == "layout" || slices.Contains(page.Names, name))
	}
	name, ok := strings.CutPrefix(path, "locales/")
	return ok && strings.HasSuffix(name, ".json") && !strings.Contains(name, "/")
}

// checkOverrides returns the first file of the operator's folder that has no meaning,
// and the first template that must not be as it is.
func checkOverrides(overrides fs.FS) error {
	return fs.WalkDir(overrides, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || strings.HasPrefix(d.Name(), ".") || strings.EqualFold(d.Name(), "README.md"):
			return nil
		case !overridable(path):
			return fmt.Errorf("%s replaces no file; there are templates/{layout,%s}.html, "+
				"locales/LANGUAGE.json, static/custom.css and static/icon.svg", path, strings.Join(page.Names, ","))
		}
		if name, ok := strings.CutPrefix(path, "templates/"); ok {
			raw, err := fs.ReadFile(overrides, path)
			if err != nil {
				return err
			}
			if err := page.CheckTemplate(strings.TrimSuffix(name, ".html"), string(raw)); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return nil
	})
}

// CheckOverrides checks the operator's folder, and returns what is wrong with it.
func CheckOverrides(overrides fs.FS) error {
	one := []page.Country{{Region: "SE", Code: 46}} // one country is enough to draw the pages
	_, err := build(Config{Overrides: overrides, Countries: one, Log: slog.New(slog.DiscardHandler)})
	return err
}
