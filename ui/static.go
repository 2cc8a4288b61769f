package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
)

//go:embed static/page.css static/page.js
var staticFiles embed.FS

const staticPath = "/static/"

// static is the style sheet and the script. Their addresses have a hash of what
// is in them, so that browsers may keep them for good.
type static struct {
	style, script string
	files         map[string]staticFile
}

type staticFile struct {
	contentType string
	body        []byte
}

func newStatic() (static, error) {
	s := static{files: map[string]staticFile{}}
	for _, f := range []struct {
		name, contentType string
		address           *string
	}{
		{"page.css", "text/css; charset=utf-8", &s.style},
		{"page.js", "text/javascript; charset=utf-8", &s.script},
	} {
		body, err := staticFiles.ReadFile("static/" + f.name)
		if err != nil {
			return static{}, fmt.Errorf("ui: %w", err)
		}
		sum := sha256.Sum256(body)
		name := base64.RawURLEncoding.EncodeToString(sum[:9]) + "-" + f.name
		s.files[name] = staticFile{f.contentType, body}
		*f.address = staticPath + name
	}
	return s, nil
}

func (s static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.URL.Path[len(staticPath):]]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Write(f.body)
}
