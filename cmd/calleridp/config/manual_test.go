// SPDX-License-Identifier: Apache-2.0

package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

const manualFile = "../../../docs/configuration.md"

// docs/configuration.md is generated from the comments of the configuration, so
// that they always agree.
func TestManualIsTheComments(t *testing.T) {
	want := manual(t)
	if *update {
		if err := os.WriteFile(manualFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(manualFile)
	if err != nil || string(have) != want {
		t.Errorf("docs/configuration.md differs from the comments of the configuration (%v); rewrite it with: go test ./cmd/calleridp/config -run Manual -update", err)
	}
}

func manual(t *testing.T) string {
	structs, docs := map[string]*ast.StructType{}, map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				spec := d.Specs[0].(*ast.TypeSpec)
				if s, ok := spec.Type.(*ast.StructType); ok && s.Fields.NumFields() > 0 && s.Fields.List[0].Tag != nil { // a table of the file
					structs[spec.Name.Name], docs[spec.Name.Name] = s, d.Doc.Text()
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("# Configuration\n\n")
	intro := strings.TrimPrefix(docs["Config"], "Config is the configuration file, a YAML document.")
	intro = strings.Replace(intro, "docs/configuration.md is made of these comments.\n", "", 1)
	b.WriteString("The configuration is one YAML file; [calleridp.example.yaml](../deploy/calleridp.example.yaml) is a start.\n`calleridp config check --config FILE` reports every error in one." + intro)
	b.WriteString("\nThis page is generated from the comments in `cmd/calleridp/config`.\n")
	type section struct{ key, typeName, field string }
	written := map[string]bool{}
	var write func(prefix, name string)
	write = func(prefix, name string) {
		var below []section
		for _, field := range structs[name].Fields.List {
			tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			key := tag.Get("yaml")
			if key == "" {
				t.Errorf("%s.%s has no key", name, field.Names[0].Name)
			}
			if tag.Get("secret") == "environment" {
				continue // named where its file is
			}
			text := field.Doc.Text()
			if text == "" {
				text = field.Comment.Text()
			}
			if text == "" && field.Names[0].Name != "URI" && field.Names[0].Name != "TOSURI" && field.Names[0].Name != "PolicyURI" {
				t.Errorf("%s.%s has no comment", name, field.Names[0].Name)
			}
			text = strings.TrimPrefix(strings.Join(strings.Fields(text), " "), field.Names[0].Name+" ")
			text = strings.TrimPrefix(strings.TrimPrefix(text, "is "), "are ")
			typeName := ""
			switch ft := field.Type.(type) {
			case *ast.Ident:
				typeName = ft.Name
			case *ast.ArrayType:
				typeName = ft.Elt.(*ast.Ident).Name
				if structs[typeName] != nil {
					key += "[]"
				}
			}
			if structs[typeName] != nil {
				below = append(below, section{prefix + key, typeName, text})
				continue
			}
			if text != "" {
				text = ": " + text
			}
			fmt.Fprintf(&b, "- `%s%s`%s\n", prefix, key, text)
		}
		for _, s := range below {
			doc := docs[s.typeName]
			doc = doc[strings.IndexByte(doc, ' ')+1:]
			doc = strings.TrimPrefix(doc, "is ")
			if written[s.typeName] { // its keys stand above
				doc = s.field
			}
			fmt.Fprintf(&b, "\n## %s\n\n%s%s\n", s.key, strings.ToUpper(doc[:1]), doc[1:])
			if !written[s.typeName] {
				written[s.typeName] = true
				write(s.key+".", s.typeName)
			}
		}
	}
	b.WriteString("\n## Top level\n\n")
	write("", "Config")
	return b.String()
}
