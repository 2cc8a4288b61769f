// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// pathDocs is where the admin listener has the page of its API.
const pathDocs = "/docs"

// Docs returns the handler of /docs and what is below it: the page of an OpenAPI document,
// which is drawn once. It needs no other host and no script. tokens are the CSS custom
// properties of the design. It panics if the document cannot be read: the program makes it.
func Docs(document []byte, tokens string) http.Handler {
	style := newStyle(tokens)
	style.path = pathDocs + strings.TrimPrefix(style.path, "/console/static")
	page, err := drawDocs(document, style.path)
	if err != nil {
		panic("console: the page of the API cannot be drawn: " + err.Error())
	}
	icon, err := fs.ReadFile(files, "static/icon.svg")
	if err != nil {
		panic("console: the icon is not built in: " + err.Error())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathDocs, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page) // an error means that the operator disconnected
	})
	mux.HandleFunc("GET "+style.path, style.serve)
	mux.HandleFunc("GET "+pathDocs+"/icon.svg", serveFile("image/svg+xml", icon))
	return headers(mux)
}

func drawDocs(document []byte, style string) ([]byte, error) {
	var d openAPI
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	t, err := template.ParseFS(files, "docs/docs.html")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, docsPage{Style: style, Title: d.Info.Title, About: d.Info.Description, Version: d.OpenAPI, Groups: d.groups(), Schemas: d.schemas()})
	return out.Bytes(), err
}

// openAPI is what the page shows of a document.
type openAPI struct {
	OpenAPI string
	Info    struct{ Title, Description string }
	Paths   map[string]map[string]struct {
		OperationID, Summary, Description string
		Tags                              []string
		Security                          []map[string][]string
		Parameters                        []struct {
			Name, In, Description string
			Required              bool
			Schema                schema
		}
		RequestBody struct {
			Content map[string]struct{ Schema schema }
		}
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        any    // a text, or a list of them
	Format      string
	Description string
	Items       *schema
	Properties  map[string]schema
	Required    []string
	ReadOnly    bool
}

type docsPage struct {
	Style, Title, About, Version string
	Groups                       []docsGroup
	Schemas                      []docsSchema
}

type docsGroup struct {
	Name, Anchor string
	Operations   []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, About, Scopes string
	Parameters                               []docsField
	Body                                     *docsType
	Responses                                []docsResponse
}

type docsResponse struct {
	Status, About string
	Type          *docsType
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name, About string
	Type        docsType
	Notes       []string
}

// docsType is a type in words. Ref is the schema in it, "" for none.
type docsType struct{ Text, Ref string }

// groups returns the operations by their tag, in the order of their paths.
func (d openAPI) groups() []docsGroup {
	groups := map[string]*docsGroup{}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		methods := d.Paths[path]
		order := []string{"get", "post", "put", "patch", "delete"}
		for _, method := range slices.SortedFunc(maps.Keys(methods), func(x, y string) int { return cmp.Compare(slices.Index(order, x), slices.Index(order, y)) }) {
			o := methods[method]
			shown := docsOperation{ID: o.OperationID, Method: strings.ToUpper(method), Path: path, Summary: o.Summary, About: o.Description}
			for _, s := range o.Security {
				for _, scopes := range s {
					shown.Scopes = strings.Join(scopes, " ")
				}
			}
			for _, p := range o.Parameters {
				f := docsField{Name: p.Name, About: p.Description, Type: p.Schema.words(), Notes: []string{p.In}}
				if p.Required {
					f.Notes = append(f.Notes, "required")
				}
				shown.Parameters = append(shown.Parameters, f)
			}
			for _, kind := range slices.Sorted(maps.Keys(o.RequestBody.Content)) {
				body := o.RequestBody.Content[kind].Schema.words()
				shown.Body = &body
			}
			for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
				response := docsResponse{Status: status, About: o.Responses[status].Description}
				for _, content := range o.Responses[status].Content {
					of := content.Schema.words()
					response.Type = &of
				}
				shown.Responses = append(shown.Responses, response)
			}
			tag := "Other"
			if len(o.Tags) > 0 {
				tag = o.Tags[0]
			}
			if groups[tag] == nil {
				groups[tag] = &docsGroup{Name: tag, Anchor: "group-" + strings.ReplaceAll(strings.ToLower(tag), " ", "-")}
			}
			groups[tag].Operations = append(groups[tag].Operations, shown)
		}
	}
	all := make([]docsGroup, 0, len(groups))
	for _, tag := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, *groups[tag])
	}
	return all
}

// schemas returns the named schemas with their fields.
func (d openAPI) schemas() (all []docsSchema) {
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		shown := docsSchema{Name: name}
		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[key]
			f := docsField{Name: key, About: p.Description, Type: p.words()}
			if slices.Contains(s.Required, key) {
				f.Notes = append(f.Notes, "required")
			}
			if p.ReadOnly {
				f.Notes = append(f.Notes, "read only")
			}
			shown.Fields = append(shown.Fields, f)
		}
		all = append(all, shown)
	}
	return all
}

// words says what a schema takes.
func (s schema) words() docsType {
	if _, name, ok := strings.Cut(s.Ref, "#/components/schemas/"); ok {
		return docsType{Ref: name}
	}
	if s.Items != nil {
		of := s.Items.words()
		return docsType{strings.TrimSpace("list of " + of.Text), of.Ref}
	}
	text := "any"
	switch t := s.Type.(type) {
	case string:
		text = t
	case []any:
		text = strings.Trim(strings.ReplaceAll(fmt.Sprint(t), " ", " or "), "[]")
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	return docsType{Text: text}
}
