// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Object is a JSON object being written, member by member, in order. The same
// members give the same bytes. The zero value is an empty object.
type Object struct {
	buf  []byte
	only []string // the members that are added, others are left out; nil: all
}

func (o *Object) leavesOut(name string) bool { return o.only != nil && !slices.Contains(o.only, name) }

// String adds a member.
func (o *Object) String(name, value string) {
	if o.leavesOut(name) {
		return
	}
	o.name(name)
	o.buf = appendString(o.buf, value)
}

// Text adds a member unless value is "".
func (o *Object) Text(name, value string) {
	if value != "" {
		o.String(name, value)
	}
}

// Bool adds a member.
func (o *Object) Bool(name string, value bool) {
	if o.leavesOut(name) {
		return
	}
	o.name(name)
	o.buf = strconv.AppendBool(o.buf, value)
}

// Time adds a member in seconds since 1970 (OpenID Connect Core §2), unless t
// is zero.
func (o *Object) Time(name string, t time.Time) {
	if !t.IsZero() && !o.leavesOut(name) {
		o.name(name)
		o.buf = strconv.AppendInt(o.buf, t.Unix(), 10)
	}
}

// Strings adds a member unless values is empty.
func (o *Object) Strings(name string, values []string) {
	if len(values) == 0 || o.leavesOut(name) {
		return
	}
	o.name(name)
	for i, v := range values {
		o.buf = append(o.buf, "[,"[min(i, 1)])
		o.buf = appendString(o.buf, v)
	}
	o.buf = append(o.buf, ']')
}

// Object adds a member unless value is empty.
func (o *Object) Object(name string, value Object) {
	if len(value.buf) > 0 && !o.leavesOut(name) {
		o.name(name)
		o.buf = append(append(o.buf, value.buf...), '}')
	}
}

// JSON returns the finished object. Nothing may be added after it.
func (o *Object) JSON() []byte {
	if len(o.buf) == 0 {
		return []byte("{}")
	}
	return append(o.buf, '}')
}

// name begins a member. Names are our own constants and need no escaping.
func (o *Object) name(name string) {
	if len(o.buf) == 0 {
		if o.buf == nil {
			o.buf = make([]byte, 0, 1024)
		}
		o.buf = append(o.buf, '{', '"')
	} else {
		o.buf = append(o.buf, ',', '"')
	}
	o.buf = append(append(o.buf, name...), '"', ':')
}

// appendString writes s as JSON. Plain text is copied; the rest is left to
// encoding/json, which also replaces invalid UTF-8.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always marshals
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
