package main

import (
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// problem is one thing that is wrong with a configuration, and what to do.
type problem struct {
	Key   string // "truecaller.app_name", "clients[2].redirect_uris"
	Where string // "line 12", "CALLERIDP_ISSUER", or "" when it is nowhere
	Text  string
}

func (p problem) String() string {
	if p.Where == "" {
		return p.Key + ": " + p.Text
	}
	return p.Key + " (" + p.Where + "): " + p.Text
}

// problems are everything that is wrong with one configuration.
type problems struct {
	Source string // the file
	All    []problem
}

func (p *problems) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %d problem", p.Source, len(p.All))
	if len(p.All) > 1 {
		b.WriteByte('s')
	}
	b.WriteByte(':')
	for _, one := range p.All {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

// decoder fills structs from a YAML document and the environment, strictly:
// unknown keys, duplicate ones and wrong types are problems. It goes on after
// one, to report them all.
type decoder struct {
	secrets  string            // what `secret` tags may be filled from the document: "dev" or ""
	where    map[string]string // by key, where its value comes from
	problems []problem
	decoded  int // how many problems there were when everything was read
}

// wrong adds a problem. Of a value that could not be read, nothing more is said.
func (d *decoder) wrong(key, format string, args ...any) {
	if key == "" {
		key = "the document" // its top
	}
	for _, p := range d.problems[:d.decoded] {
		if rest, ok := strings.CutPrefix(key, p.Key); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	d.problems = append(d.problems, problem{Key: key, Where: d.origin(key), Text: fmt.Sprintf(format, args...)})
}

// origin is where a key, or else what it is in, comes from.
func (d *decoder) origin(key string) string {
	for key != "" {
		if where, ok := d.where[key]; ok {
			return where
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return ""
}

// failed says whether something is wrong already with exactly this key.
func (d *decoder) failed(key string) bool {
	return slices.ContainsFunc(d.problems, func(p problem) bool { return p.Key == key })
}

// readDocument reads a YAML file into v, which is what key names in problems.
// The error is about a file or document that cannot be read as such.
func (d *decoder) readDocument(path, key string, v any) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s; deploy/calleridp.example.yaml is a start", path)
	}
	if err != nil {
		return fmt.Errorf("the configuration cannot be read: %w", err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		// The library's text has the position and the lines around it.
		return fmt.Errorf("%s is not YAML: %s", path, strings.TrimSpace(err.Error()))
	}
	if len(file.Docs) > 1 {
		return fmt.Errorf("%s has %d documents (---); it must be one", path, len(file.Docs))
	}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		d.node(key, file.Docs[0].Body, reflect.ValueOf(v).Elem())
	}
	return nil
}

func line(n ast.Node) string { return fmt.Sprintf("line %d", n.GetToken().Position.Line) }

// node decodes one value.
func (d *decoder) node(key string, n ast.Node, v reflect.Value) {
	switch n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return // a key without a value counts as left out
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.wrong(key, "anchors, aliases and tags are not understood; write the value out")
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		scalar, ok := n.(ast.ScalarNode)
		if !ok {
			d.wrong(key, "must be one value, not a list or a table")
		} else if err := text.UnmarshalText([]byte(scalarText(scalar))); err != nil {
			d.wrong(key, "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.table(key, n, v)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.wrong(key, "must be a list: write a dash before each item, or [a, b]")
			return
		}
		items := reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
		for i, item := range list.Values {
			at := fmt.Sprintf("%s[%d]", key, i)
			d.where[at] = line(item)
			d.node(at, item, items.Index(i))
		}
		v.Set(items)
	case reflect.Bool:
		yes, ok := n.(*ast.BoolNode)
		if !ok {
			d.wrong(key, "must be true or false")
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
			d.wrong(key, "must be text; put it in quotes")
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
		d.wrong(key, "must be a table of keys and values")
		return
	}
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		full := under(key, name)
		d.where[full] = line(pair.Key)
		field, ok := fieldNamed(v.Type(), name)
		if !ok {
			d.wrong(full, "there is no such key%s", suggestion(v.Type(), name))
			continue
		}
		if may := field.Tag.Get("secret"); may != "" && may != d.secrets {
			d.wrong(full, "secrets do not belong in this file; put it in a file of its own and name that as %s_file%s", name, orVariable(may, full))
			continue
		}
		d.node(full, pair.Value, v.FieldByIndex(field.Index))
	}
}

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
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// suggestion names the key that was probably meant.
func suggestion(t reflect.Type, name string) string {
	best, least := "", 4 // more edits are another word
	for i := range t.NumField() {
		if known := t.Field(i).Tag.Get("yaml"); t.Field(i).Tag.Get("secret") == "" {
			if n := edits(name, known); n < least {
				best, least = known, n
			}
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// edits is how many characters must be put in, taken out or changed to make a
// into b (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// variable is the environment variable of a key.
func variable(key string) string {
	return "CALLERIDP_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// fromEnvironment overlays what the environment has. An empty variable counts as
// none.
func (d *decoder) fromEnvironment(c *Config, lookup func(string) (string, bool)) {
	d.environment("", reflect.ValueOf(c).Elem(), lookup)
}

func (d *decoder) environment(key string, v reflect.Value, lookup func(string) (string, bool)) {
	for i := range v.NumField() {
		name := under(key, v.Type().Field(i).Tag.Get("yaml"))
		target := v.Field(i)
		_, isText := target.Addr().Interface().(encoding.TextUnmarshaler)
		if target.Kind() == reflect.Struct && !isText {
			d.environment(name, target, lookup)
			continue
		}
		value, _ := lookup(variable(name))
		if value == "" {
			continue
		}
		d.where[name] = variable(name)
		switch t := target.Addr().Interface().(type) {
		case encoding.TextUnmarshaler:
			if err := t.UnmarshalText([]byte(value)); err != nil {
				d.wrong(name, "%v", err)
			}
		case *string:
			*t = value
		case *[]string:
			*t = nil
			for part := range strings.SplitSeq(value, ",") {
				if part = strings.TrimSpace(part); part != "" {
					*t = append(*t, part)
				}
			}
		default:
			d.wrong(name, "cannot come from the environment; write it in the file")
		}
	}
}
