package config

import (
	"fmt"
	"reflect"

	"calleridp/provider/redact"
	"calleridp/truecaller/phone"
)

// Effective returns the configuration that is in use, defaults included, by the keys of the
// file. A secret is only said to be set: its type is one that prints as nothing. The numbers
// of keys with the tag `personal:"number"` are masked.
func (c Config) Effective() map[string]any {
	return effective(reflect.ValueOf(c)).(map[string]any)
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
				if field.Tag.Get("personal") == "number" {
					value = reflect.ValueOf(masked(value.Interface().([]string)))
				}
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

// masked returns numbers as they are shown (invariant 10). One that is none shows nothing.
func masked(numbers []string) []string {
	shown := make([]string, len(numbers))
	for i, text := range numbers {
		if n, err := phone.Parse(text, ""); err == nil {
			shown[i] = n.Masked()
		}
	}
	return shown
}
