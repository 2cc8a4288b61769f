// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"calleridp/provider/redact"
)

// variable returns the environment variable of a key.
func variable(key string) string {
	return "CALLERIDP_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// readEnvironment overrides c with what the environment sets, and refuses variables
// that look like ours and set nothing. An empty variable counts as unset.
func (d *decoder) readEnvironment(c *Config) {
	known := []string{"CALLERIDP_CONFIG"}
	d.environment("", reflect.ValueOf(c).Elem(), &known)
	var names []string
	for _, set := range os.Environ() {
		name, value, _ := strings.Cut(set, "=")
		if strings.HasPrefix(name, "CALLERIDP_") && value != "" && !slices.Contains(known, name) && !ofKubernetes(name, value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d.refuse(name, "unknown variable%s", nearest(known, name))
	}
}

// servicePort matches the rest of a variable's name after the port of a service.
var servicePort = regexp.MustCompile(`^CALLERIDP(_[A-Z0-9_]+)?_PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?$`)

// ofKubernetes reports whether Kubernetes, or Docker before it, sets such a variable
// in every container beside a service whose name begins with calleridp.
func ofKubernetes(name, value string) bool {
	return strings.HasSuffix(name, "_SERVICE_HOST") ||
		strings.HasSuffix(name, "_SERVICE_PORT") ||
		strings.Contains(name, "_SERVICE_PORT_") ||
		strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://") ||
		servicePort.MatchString(name)
}

// environment sets the fields of v, and adds the variables of all of them to known.
func (d *decoder) environment(key string, v reflect.Value, known *[]string) {
	for i := range v.NumField() {
		name := under(key, v.Type().Field(i).Tag.Get("yaml"))
		target := v.Field(i)
		_, isText := target.Addr().Interface().(encoding.TextUnmarshaler)
		if target.Kind() == reflect.Struct && !isText {
			d.environment(name, target, known)
			continue
		}
		*known = append(*known, variable(name))
		value := os.Getenv(variable(name))
		if value == "" {
			continue
		}
		d.origins[name] = variable(name)
		switch t := target.Addr().Interface().(type) {
		case encoding.TextUnmarshaler:
			if err := t.UnmarshalText([]byte(value)); err != nil {
				d.refuse(name, "%v", err)
			}
		case *string:
			*t = value
		case *redact.Text:
			*t = redact.Text(value)
		case *[]string:
			*t = listed[string](value)
		case *[]Number:
			*t = listed[Number](value)
		default:
			d.refuse(name, "cannot come from the environment; write it in the file")
		}
	}
}

// listed returns the items of a variable, which are separated by commas.
func listed[T ~string](value string) (items []T) {
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, T(item))
		}
	}
	return items
}
