// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// PathStatic is the path of the stylesheet, the scripts and the icon. Each name has a
// hash of the content, so that a browser may cache the file permanently.
const PathStatic = "/static/"

// assets holds the files under PathStatic.
type assets struct {
	byName map[string]asset

	// The names under which they are served.
	style, icon string
	logo        string // "" for none
	script      string // of every page with a script
	session     string // of the page that watches a session
	signedOut   string // of the page after signing out
	solver      string // of a sign-in page with a challenge, beside the page's own script
	// signIn holds the script of the sign-in page by the page's parts: script and more
	// in one file, so that the browser sends one request.
	signIn map[signInParts]string
}

// signInParts says which of its two ways to sign in a sign-in page has.
type signInParts struct{ number, oneTap bool }

type asset struct {
	contentType   string
	plain, zipped []byte
}

const (
	cssType    = "text/css; charset=utf-8"
	javaScript = "text/javascript; charset=utf-8"
)

// customStyle is the operator's addition to the stylesheet.
const customStyle = "static/custom.css"

// Parts of our scripts and of our stylesheet that are for us, and would be a tenth of the
// page: whole lines of comment, and indentation.
var (
	comment      = regexp.MustCompile(`(?m)^[ \t]*//.*\n`)
	styleComment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	indentation  = regexp.MustCompile(`(?m)^\s+`)
)

func loadAssets(files fs.FS, logo *Image, groups string) (*assets, error) {
	a := &assets{byName: map[string]asset{}}
	var style, icon, script, solver, field, oneTap, session, signedOut []byte
	for file, plain := range map[string]*[]byte{
		"app.css":      &style,
		"icon.svg":     &icon,
		"app.js":       &script,
		"challenge.js": &solver,
		"field.js":     &field,
		"onetap.js":    &oneTap,
		"session.js":   &session,
		"signedout.js": &signedOut,
	} {
		var err error
		if *plain, err = fs.ReadFile(files, "static/"+file); err != nil {
			return nil, err
		}
	}
	style = indentation.ReplaceAll(styleComment.ReplaceAll(style, nil), nil)
	switch custom, err := fs.ReadFile(files, customStyle); {
	case err == nil:
		style = slices.Concat(style, []byte("\n"), custom)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	table, err := json.Marshal(strings.TrimSpace(groups)) // a JSON string is a JavaScript string
	if err != nil {
		return nil, err
	}
	field = bytes.Replace(field, []byte("GROUPS"), table, 1)

	for _, plain := range []*[]byte{&script, &solver, &field, &oneTap, &session, &signedOut} {
		*plain = indentation.ReplaceAll(comment.ReplaceAll(*plain, nil), nil)
	}
	a.style = a.add("app.css", cssType, style)
	a.icon = a.add("icon.svg", "image/svg+xml", icon)
	a.script = a.add("app.js", javaScript, script)
	a.solver = a.add("challenge.js", javaScript, solver)
	a.session = a.add("session.js", javaScript, session)
	a.signedOut = a.add("signedout.js", javaScript, signedOut)
	a.signIn = map[signInParts]string{
		{}:                           a.script,
		{number: true}:               a.add("signin.js", javaScript, slices.Concat(field, script)),
		{oneTap: true}:               a.add("onetap.js", javaScript, slices.Concat(script, oneTap)),
		{number: true, oneTap: true}: a.add("signin.js", javaScript, slices.Concat(field, script, oneTap)),
	}
	if logo != nil {
		a.logo = a.add("logo"+extensions[logo.Type], logo.Type, logo.Bytes)
	}
	return a, nil
}

// add adds a file and returns the name under which it is served.
func (a *assets) add(file, contentType string, plain []byte) string {
	hash := sha256.Sum256(plain)
	ext := path.Ext(file)
	name := strings.TrimSuffix(file, ext) + "-" + base64.RawURLEncoding.EncodeToString(hash[:9]) + ext
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		panic(err) // cannot happen: the level exists
	}
	z.Write(plain) // writing to a bytes.Buffer cannot fail
	z.Close()
	a.byName[name] = asset{contentType: contentType, plain: plain, zipped: zipped.Bytes()}
	return name
}

// AddStyle adds another stylesheet, made from the pages' own by edit, and returns its
// name for an Exhibit. Call it before the pages are served.
func (p *Pages) AddStyle(file string, edit func(css string) string) string {
	style := string(p.assets.byName[p.assets.style].plain)
	return p.assets.add(file, cssType, []byte(edit(style)))
}

// HasAsset reports whether Static serves a file of this name.
func (p *Pages) HasAsset(name string) bool {
	_, ok := p.assets.byName[name]
	return ok
}

// Static serves GET /static/{name}.
func (p *Pages) Static(w http.ResponseWriter, r *http.Request) {
	file, ok := p.assets.byName[chi.URLParam(r, "name")]
	if !ok {
		p.notFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(file.contentType, "image/") {
		// An image that a browser opens as a page must run no script inside it.
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	}
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	body := file.plain
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = file.zipped
	}
	w.Write(body) // an error means that the browser has gone
}

// Style returns the name of the pages' stylesheet.
func (p *Pages) Style() string { return p.assets.style }
