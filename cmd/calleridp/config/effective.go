// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"calleridp/provider/redact"

	"github.com/goccy/go-yaml"
)

// Effective returns the configuration that is in use, defaults included, by the keys of the
// file. A secret is only said to be set: its type is one that prints as nothing. Numbers print
// masked.
func (c Config) Effective() map[string]any {
	return effective(reflect.ValueOf(c)).(map[string]any)
}

// Defaults returns what Effective would return if the file had nothing but the issuer and the
// folder of the data.
func (c Config) Defaults() map[string]any {
	usual := Config{Issuer: c.Issuer, DataDir: c.DataDir}
	usual.setDefaults()
	return usual.Effective()
}

func effective(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case redact.Text:
		if x == "" {
			return nil
		}
		return "(set)"
	case Rate:
		return fmt.Sprintf("%d/%s", x.Burst, Duration(x.Period))
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return effective(v.Elem())
	case reflect.Struct:
		keys := map[string]any{}
		for field, value := range v.Fields() {
			if key := field.Tag.Get("yaml"); key != "" && key != "-" {
				if shown := effective(value); shown != nil {
					keys[key] = shown
				}
			}
		}
		return keys
	case reflect.Slice:
		items := make([]any, 0, v.Len())
		for i := range v.Len() {
			items = append(items, effective(v.Index(i)))
		}
		return items
	}
	return v.Interface()
}

// PrintEffective prints what a server says of its configuration as YAML, in the order in
// which it says it.
func PrintEffective(out io.Writer, shown json.RawMessage) error {
	text, err := yaml.JSONToYAML(shown)
	if err != nil {
		return fmt.Errorf("config: the server's response is no configuration: %w", err)
	}
	_, err = out.Write(text)
	return err
}
