package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

//go:embed static
var staticFiles embed.FS

// pathStatic is where the stylesheet, the script and the icon are. Their names
// hold a hash of their content, so that a browser may keep them for ever.
const pathStatic = "/static/"

type assets struct {
	byName map[string]asset

	// The names under which they are served.
	style, icon string
	logo        string // "" for none
	script      string // of every page that has one
	solver      string // of the sign-in page that has a challenge, beside its own
	// signIn is the script of the sign-in page, one for what is on it, so that it is
	// one request: script and more.
	signIn map[signInParts]string
}

// signInParts is what a sign-in page has of its two ways in.
type signInParts struct{ number, oneTap bool }

type asset struct {
	contentType   string
	plain, zipped []byte
}

const javaScript = "text/javascript; charset=utf-8"

// ownStyle is the operator's addition to the stylesheet.
const ownStyle = "static/custom.css"

func loadAssets(overrides fs.FS, logo *Image, groups string) (*assets, error) {
	a := &assets{byName: map[string]asset{}}
	files := sources{builtin: staticFiles, overrides: overrides}
	var style, icon, script, solver, field, oneTap []byte
	for file, plain := range map[string]*[]byte{
		"app.css": &style, "icon.svg": &icon, "app.js": &script, "challenge.js": &solver, "field.js": &field, "onetap.js": &oneTap,
	} {
		var err error
		if *plain, err = files.read("static/" + file); err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
	}
	if overrides != nil {
		switch own, err := fs.ReadFile(overrides, ownStyle); {
		case err == nil:
			style = slices.Concat(style, []byte("\n"), own)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("ui: overrides: %w", err)
		}
	}
	table, err := json.Marshal(strings.TrimSpace(groups)) // which is also how JavaScript writes a text
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	field = bytes.Replace(field, []byte("GROUPS"), table, 1)

	a.style = a.add("app.css", "text/css; charset=utf-8", style)
	a.icon = a.add("icon.svg", "image/svg+xml", icon)
	a.script = a.add("app.js", javaScript, script)
	a.solver = a.add("challenge.js", javaScript, solver)
	a.signIn = map[signInParts]string{
		{}:                           a.script,
		{number: true}:               a.add("signin.js", javaScript, slices.Concat(script, field)),
		{oneTap: true}:               a.add("onetap.js", javaScript, slices.Concat(script, oneTap)),
		{number: true, oneTap: true}: a.add("signin.js", javaScript, slices.Concat(script, field, oneTap)),
	}
	if logo != nil {
		a.logo = a.add("logo"+extensions[logo.Type], logo.Type, logo.Bytes)
	}
	return a, nil
}

// add keeps a file and returns the name under which it is served.
func (a *assets) add(file, contentType string, plain []byte) string {
	hash := sha256.Sum256(plain)
	ext := path.Ext(file)
	name := strings.TrimSuffix(file, ext) + "-" + base64.RawURLEncoding.EncodeToString(hash[:9]) + ext
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		panic(err) // there is such a level
	}
	z.Write(plain) // a bytes.Buffer takes everything
	z.Close()
	a.byName[name] = asset{contentType: contentType, plain: plain, zipped: zipped.Bytes()}
	return name
}

// serve answers GET /static/{name}.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) error {
	file, ok := a.byName[chi.URLParam(r, "name")]
	if !ok {
		return errNoPage
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(file.contentType, "image/") {
		// A picture that is opened by itself must not run what may be in it.
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
	return nil
}
