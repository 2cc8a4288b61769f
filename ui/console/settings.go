// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"calleridp/provider/console"
)

type settingsPage struct{ Sections []section }

// section is a table of the configuration, and what is in it.
type section struct {
	Name  string
	Facts []setting
	Set   int // how many of them differ from the default
	Open  bool
}

// setting is a key with its value in use.
type setting struct {
	entry
	Set bool // it differs from the default
}

// entry is a key with its value.
type entry struct{ Name, Value string }

// mostOpen is how many settings a section has that is open before anyone asks for it: a
// list of clients may be as long as it likes.
const mostOpen = 20

// settings shows the configuration in use. Secrets were left out before it gets here.
func (h *handler) settings(w http.ResponseWriter, r *http.Request, s console.Session) error {
	got, err := h.cfg.API.ShowConfig(r.Context(), nil)
	if err != nil {
		return err
	}
	sections, err := sectionsOf(got.Body, h.cfg.Defaults)
	if err != nil {
		return err
	}
	h.page(w, r, &s, http.StatusOK, "settings", view{Title: "Configuration", Page: settingsPage{sections}})
	return nil
}

// sectionsOf returns the single values of a configuration, and then one section for each
// table and list of tables. Those with a setting that differs from the default are open;
// without one, the first is.
func sectionsOf(shown, usual any) ([]section, error) {
	all, err := tables(shown)
	if err != nil {
		return nil, err
	}
	defaults, err := tables(usual)
	if err != nil {
		return nil, err
	}
	sections := []section{{Name: "Server"}}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		facts, normal := flat("", all[key]), flat("", defaults[key])
		single := len(facts) == 1 && facts[0].Name == ""
		if !single {
			sections = append(sections, section{Name: key})
		}
		in := &sections[len(sections)-1]
		if single {
			in, facts[0].Name = &sections[0], key
			for i := range normal {
				normal[i].Name = key
			}
		}
		for _, f := range facts {
			set := !slices.Contains(normal, f) && f.Value != ""
			in.Facts = append(in.Facts, setting{f, set})
			if set {
				in.Set++
			}
		}
	}
	open := false
	for i := range sections {
		sections[i].Open = sections[i].Set > 0 && len(sections[i].Facts) <= mostOpen
		open = open || sections[i].Open
	}
	sections[0].Open = sections[0].Open || !open
	return sections, nil
}

// tables returns the top level of a configuration, as its JSON has it.
func tables(shown any) (keys map[string]any, err error) {
	raw, err := json.Marshal(shown)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		err = d.Decode(&keys)
	}
	if err != nil {
		return nil, fmt.Errorf("console: the configuration cannot be shown: %w", err)
	}
	return keys, nil
}

// flat returns the single values in v, each with its path. A list of single values is one.
// Tables in a list, such as clients, have only what is set: there may be many.
func flat(path string, v any) (facts []entry) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			facts = append(facts, flat(strings.TrimPrefix(path+"."+key, "."), v[key])...)
		}
		return facts
	case []any:
		var single []string
		for i, item := range v {
			inner := flat(fmt.Sprintf("%s[%d]", path, i), item)
			if _, table := item.(map[string]any); table {
				inner = slices.DeleteFunc(inner, func(e entry) bool { return e.Value == "" || e.Value == "false" })
				facts = append(facts, inner...)
				continue
			}
			for _, f := range inner {
				single = append(single, f.Value)
			}
		}
		if len(facts) == 0 {
			facts = []entry{{path, strings.Join(single, ", ")}}
		}
		return facts
	case nil:
		return nil
	}
	return []entry{{path, fmt.Sprint(v)}}
}
