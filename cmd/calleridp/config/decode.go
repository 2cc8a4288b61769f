// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"calleridp/cmd/calleridp/command"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decoder fills structs from a YAML document and the environment, strictly: it
// refuses unknown keys, duplicate keys and wrong types. It collects all errors,
// those of the checks that follow too.
type decoder struct {
	secrets    string            // which `secret` tags the document may fill: "dev" or ""
	origins    map[string]string // by key, where its value comes from
	errors     []KeyError
	clientKeys []string // what errors call the clients; nil: clients[0] and so on
	decoded    int      // how many errors there were when everything was read
}

func newDecoder(secrets string) *decoder {
	return &decoder{secrets: secrets, origins: map[string]string{}}
}

// err returns the errors of a configuration that comes from source, nil if there
// are none.
func (d *decoder) err(source string) error {
	if len(d.errors) == 0 {
		return nil
	}
	return &InvalidError{Source: source, Keys: d.errors}
}

// refuse adds an error. A value that could not be decoded gets no further ones.
func (d *decoder) refuse(key, format string, args ...any) {
	if key == "" {
		key = "the document" // its top level
	}
	for _, e := range d.errors[:d.decoded] {
		if rest, ok := strings.CutPrefix(key, e.Key); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	d.errors = append(d.errors, KeyError{Key: key, Origin: d.origin(key), Reason: fmt.Sprintf(format, args...)})
}

// origin returns where a key, or else the table or list that it is in, comes from.
func (d *decoder) origin(key string) string {
	for key != "" {
		if origin, ok := d.origins[key]; ok {
			return origin
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return ""
}

// failed reports whether exactly this key has been refused.
func (d *decoder) failed(key string) bool {
	return slices.ContainsFunc(d.errors, func(e KeyError) bool { return e.Key == key })
}

// readDocument reads a YAML file into v, which errors call key. It returns an error
// only for a file that cannot be read or parsed as a whole.
func (d *decoder) readDocument(path, key string, v any) error {
	text, err := readText(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no such file; start from deploy/calleridp.example.yaml", path)
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		// The library's text has the position and shows the lines around it.
		return fmt.Errorf("%s is not YAML: %s", path, strings.TrimSpace(err.Error()))
	}
	if len(file.Docs) > 1 {
		return fmt.Errorf("%s has %d documents (---); write one", path, len(file.Docs))
	}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		d.node(key, file.Docs[0].Body, reflect.ValueOf(v).Elem())
	}
	return nil
}

func line(n ast.Node) string { return fmt.Sprintf("line %d", n.GetToken().Position.Line) }

// node decodes one value into v.
func (d *decoder) node(key string, n ast.Node, v reflect.Value) {
	switch n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return // a key without a value counts as unset
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.refuse(key, "anchors, aliases and tags are not supported; write the value out")
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		scalar, ok := n.(ast.ScalarNode)
		if !ok {
			d.refuse(key, "must be a single value, not a list or a table")
		} else if err := text.UnmarshalText([]byte(scalarText(scalar))); err != nil {
			d.refuse(key, "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.table(key, n, v)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.refuse(key, "must be a list; write a dash before each item, or [a, b]")
			return
		}
		items := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
		for i, item := range list.Values {
			at := fmt.Sprintf("%s[%d]", key, i)
			d.origins[at] = line(item)
			d.node(at, item, items.Index(i))
		}
		v.Set(items)
	case reflect.Bool:
		yes, ok := n.(*ast.BoolNode)
		if !ok {
			d.refuse(key, "must be true or false")
			return
		}
		v.SetBool(yes.Value)
	case reflect.String:
		switch text := n.(type) {
		case *ast.StringNode:
			v.SetString(text.Value)
		case *ast.LiteralNode:
			v.SetString(strings.TrimSpace(text.Value.Value))
		default:
			d.refuse(key, "must be text; put it in quotes")
		}
	default:
		panic("config: no decoding for " + v.Type().String())
	}
}

func scalarText(n ast.ScalarNode) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.GetToken().Value
}

// table decodes a mapping into a struct.
func (d *decoder) table(key string, n ast.Node, v reflect.Value) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		d.refuse(key, "must be a table of keys and values")
		return
	}
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		full := under(key, name)
		d.origins[full] = line(pair.Key)
		field, ok := fieldNamed(v.Type(), name)
		if !ok {
			d.refuse(full, "unknown key%s", suggestion(v.Type(), name))
			continue
		}
		if may := field.Tag.Get("secret"); may != "" && may != d.secrets {
			d.refuse(full, "secrets must not be in this file; put the secret in a separate file and set %s_file to it%s", name, orVariable(may, full))
			continue
		}
		d.node(full, pair.Value, v.FieldByIndex(field.Index))
	}
}

// orVariable names the environment variable for a secret that may come from there.
func orVariable(may, key string) string {
	if may == "environment" && !strings.Contains(key, "[") {
		return ", or set " + variable(key)
	}
	return ""
}

func under(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func fieldNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// suggestion names the known key that is most like an unknown one.
func suggestion(t reflect.Type, name string) string {
	var keys []string
	for field := range t.Fields() {
		if field.Tag.Get("secret") == "" {
			keys = append(keys, field.Tag.Get("yaml"))
		}
	}
	return nearest(keys, name)
}

// nearest names the known name that is most like an unknown one, "" for none.
func nearest(all []string, name string) string {
	best := command.Nearest(all, name)
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
