package console

import (
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
	Facts []entry
}

// entry is a key with its value.
type entry struct{ Name, Value string }

// settings shows the configuration in use. Secrets were left out before it gets here.
func (h *handler) settings(w http.ResponseWriter, r *http.Request, s console.Session) error {
	got, err := h.cfg.API.ShowConfig(r.Context(), nil)
	if err != nil {
		return err
	}
	sections, err := sectionsOf(got.Body)
	if err != nil {
		return err
	}
	h.page(w, r, &s, http.StatusOK, "settings", view{Title: "Configuration", Page: settingsPage{sections}})
	return nil
}

// sectionsOf returns the single values of a configuration, and then one section for each
// table and list of tables.
func sectionsOf(shown any) ([]section, error) {
	raw, err := json.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("console: the configuration cannot be shown: %w", err)
	}
	var keys map[string]any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&keys); err != nil {
		return nil, fmt.Errorf("console: the configuration cannot be shown: %w", err)
	}
	sections := []section{{Name: "Server"}}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		facts := flat("", keys[key])
		if len(facts) == 1 && facts[0].Name == "" {
			sections[0].Facts = append(sections[0].Facts, entry{key, facts[0].Value})
			continue
		}
		sections = append(sections, section{key, facts})
	}
	return sections, nil
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
