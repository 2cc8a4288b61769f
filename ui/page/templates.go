// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"regexp"
	"strings"
	"sync"

	"calleridp/ui/language"
)

// Names lists the pages by the names of their templates.
var Names = []string{
	"signin", "waiting", "onward", "ended", "consent", "account", "accountstep",
	"formpost", "signout", "signedout", "home", "error",
	"usercode", "confirmdevice", "devicedone",
}

// layout is the template around all pages.
const layout = "layout"

// frames is a template that operators do not replace: the frames in which clients hear that
// a session has ended. They may run scripts and keep their own data, and move nothing but
// themselves.
const frames = `{{define "frames"}}{{range .Frames}}<iframe src="{{.}}" sandbox="allow-scripts allow-same-origin allow-forms" referrerpolicy="no-referrer" hidden></iframe>
{{end}}{{end}}`

// templates holds the pages in each language, with every kind of digits. They are
// parsed at first use: there are many languages, and one server meets few of them.
type templates map[*language.Language]func() (map[string]*template.Template, error)

// parseTemplates reads the templates. It parses those of the source language at
// once: that language has every text that another has, so that a template without
// mistakes in it has none in any language.
func parseTemplates(files fs.FS, languages *language.Set) (templates, error) {
	raw := map[string]string{}
	for _, name := range append([]string{layout}, Names...) {
		text, err := fs.ReadFile(files, "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		raw[name] = string(text)
	}
	all := templates{}
	for _, l := range languages.All() {
		for _, variant := range l.Variants() {
			all[variant] = sync.OnceValues(func() (map[string]*template.Template, error) { return parse(raw, variant) })
		}
	}
	_, err := all[languages.All()[0]]()
	return all, err
}

// builtIn has what belongs to a page and is not in its file.
var builtIn = map[string]string{"signedout": frames}

// parse parses the templates of one language after it has put the texts into them,
// so that drawing a page looks up no text.
func parse(raw map[string]string, l *language.Language) (map[string]*template.Template, error) {
	filled := map[string]string{}
	for _, name := range append([]string{layout}, Names...) {
		var err error
		if filled[name], err = l.Fill(raw[name]); err != nil {
			return nil, fmt.Errorf("%s in %s: %w", name, l.Tag, err)
		}
	}
	pages := map[string]*template.Template{}
	for _, name := range Names {
		t, err := template.New(name).Funcs(l.Functions()).Funcs(drawing()).Option("missingkey=error").Parse(filled[layout])
		if err == nil { // by itself, so that it may have a head of its own in place of the layout's
			t, err = t.Parse(filled[name] + builtIn[name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", name, l.Tag, err)
		}
		pages[name] = t
	}
	return pages, nil
}

func (t templates) render(b *bytes.Buffer, l *language.Language, name string, v view) error {
	pages, err := t[l]()
	if err != nil {
		return err
	}
	return pages[name].ExecuteTemplate(b, layout, v)
}

// hooks lists what a template must have, because the handlers, the script, password
// managers or tests rely on it.
var hooks = map[string][]string{
	"layout":        {`{{template "title" .}}`, `{{template "content" .}}`, `lang="{{.Lang}}"`, `dir="{{.Dir}}"`, `{{block "refresh" .}}`},
	"signin":        {`action="{{.Base}}/signin"`, `name="request"`, `id="phone"`, `name="phone"`, `name="confirmed"`, `id="submit"`, `id="number"`},
	"waiting":       {`id="waiting"`, `id="cancel"`, `id="again"`, `http-equiv="refresh"`, `id="say"`},
	"onward":        {`{{.Onward}}`},
	"ended":         {`id="ended"`, `/again"`, `/leave"`, `id="again"`, `id="wait"`, `id="now"`},
	"consent":       {`id="consent"`, `id="allow"`, `id="deny"`, `name="request"`},
	"usercode":      {`action="{{.Base}}/device"`, `name="user_code"`},
	"confirmdevice": {`action="{{.Base}}/device/confirm"`, `name="request"`, `{{.Code}}`, `value="continue"`, `value="deny"`, `device.confirm.caution`},
	"formpost":      {`id="formpost"`, `{{.Action}}`, `{{range .Fields}}`},
	"signout":       {`id="submit"`, `name="request"`},
	"error":         {`id="error"`, `.Correlation}}`},
	"signedout":     {`id="signed-out"`, `{{template "frames" .}}`, `id="onward"`, `{{.Next}}`},
}

// blocked matches what the pages' Content-Security-Policy stops in the browser.
var blocked = regexp.MustCompile(`(?i)\sstyle\s*=|\son[a-z]+\s*=|javascript:|<(?:script|style|link|iframe|object|embed|base)\b`)

// allowedMarkup matches the layout's use of what is blocked elsewhere.
var allowedMarkup = regexp.MustCompile(`<(?:script|style|link)\b[^>]*(?:nonce="\{\{\$?\.Nonce\}\}"|rel="icon")[^>]*>`)

// CheckTemplate checks an operator's template: one of Names, or layout.
func CheckTemplate(name, text string) error {
	for _, hook := range hooks[name] {
		if !strings.Contains(text, hook) {
			return fmt.Errorf("must have %s", hook)
		}
	}
	if found := blocked.FindString(allowedMarkup.ReplaceAllString(text, "")); found != "" {
		return fmt.Errorf("has %q, which the pages' Content-Security-Policy blocks; put styles into static/custom.css",
			strings.TrimSpace(found))
	}
	return nil
}
