// SPDX-License-Identifier: Apache-2.0

package language

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts calls do for each text of each built-in language, as it is in the file.
func texts(t *testing.T, do func(tag, key, text string)) {
	t.Helper()
	files, err := filepath.Glob("../locales/*.json")
	if err != nil || len(files) < 18 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c catalogue
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(file, err)
		}
		for key, forms := range c {
			for _, text := range forms {
				do(strings.TrimSuffix(filepath.Base(file), ".json"), key, text)
			}
		}
	}
}

// variants holds, by language, the words that the pages do not use because another word
// stands for the same thing everywhere else. docs/translating.md lists those.
var variants = map[string]string{
	"en": `(?i)\b(somebody|anybody|nobody|e-mail|tries|one more try|applications?|type|typing|write|log in|log out|login)\b`,
	"ar": `اكتب|كتابة`,
	"es": `tú mismo`,
	"fr": `requête|êtes (dé)?connecté|serez (dé)?connecté|rester connecté| [?!;:]( |$)`,
	"hi": `अनुरोध|साझा|अस्वीकार|दर्ज|लिखें`,
	"id": `(?i)ketik`,
	"kn": `ನಿರಾಕರಿಸ|ಆರಂಭಿಸ`,
	"pa": `ਅਸਵੀਕਾਰ|ਲਿਖੋ|ਹਾਲੇ`,
	"pt": `você mesmo|apenas`,
	"sv": `(?i)\bneka|begär|skriv in`,
	"ta": `உள்ளிடவும்|உள்நுழையவும்|தொடரவும்|தொடங்கவும்|விநாடி`,
	"te": `అభ్యర్థన|నమోదు|ప్రారంభించ`,
	"ur": `درج کریں|مسترد`,
}

// One thing has one name on every page of a language. In French, a no-break space stands
// before double punctuation, and no text takes the user for a man.
func TestOneWordForOneThing(t *testing.T) {
	never := map[string]*regexp.Regexp{}
	for tag, pattern := range variants {
		never[tag] = regexp.MustCompile(pattern)
	}
	texts(t, func(tag, key, text string) {
		text = placeholder.ReplaceAllString(text, "·")
		if banned := never[tag]; banned != nil && banned.MatchString(text) {
			t.Errorf("%s: %s says %q, want another word: %s", tag, key, banned.FindString(text), text)
		}
	})
}

func TestTypography(t *testing.T) {
	careless := regexp.MustCompile(`["']|\.\.\.|  |^ | $|\x{2060}`)
	texts(t, func(tag, key, text string) {
		if careless.MatchString(text) {
			t.Errorf("%s: %s has %q, want ’ “ ” … and no superfluous space: %s", tag, key, careless.FindString(text), text)
		}
	})
}

// warnings holds patterns of the texts that protect users. A translator must know what
// each protects from.
var warnings = []string{
	"problem.locked_elsewhere", "waiting.advice", "waiting.advice.text", "outcome.mismatch.text",
	"consent.lead", "consent.scope.*", "account.everywhere.text", "account.step.delete.text",
	"device.confirm.*", "device.elsewhere", "error.not_your_browser.text", "browser.advice*",
}

// Each note names a text that exists or, with a star, several. Each text that warns, or
// has a placeholder, has a note, and so has each placeholder.
func TestNotesForTranslators(t *testing.T) {
	raw, err := os.ReadFile("notes.json")
	if err != nil {
		t.Fatal(err)
	}
	var notes map[string]string
	if err := json.Unmarshal(raw, &notes); err != nil {
		t.Fatal(err)
	}
	english := loaded(t).all[0].texts
	matches := func(pattern, key string) bool {
		before, after, star := strings.Cut(pattern, "*")
		if !star {
			return pattern == key
		}
		return len(key) >= len(before)+len(after) && strings.HasPrefix(key, before) && strings.HasSuffix(key, after)
	}
	explained := func(key string) bool {
		for pattern := range notes {
			if matches(pattern, key) {
				return true
			}
		}
		return false
	}
	used := map[string]bool{}
	for key, forms := range english {
		names := placeholders(forms["other"])
		for name := range names {
			used["{"+name+"}"] = true
		}
		warns := slices.ContainsFunc(warnings, func(pattern string) bool { return matches(pattern, key) })
		if (warns || len(names) > 0) && !explained(key) {
			t.Errorf("%s: got no note, want one: it has a placeholder or warns", key)
		}
	}
	for name := range used {
		if notes[name] == "" {
			t.Errorf("%s: got no note, want one", name)
		}
	}
	for pattern, note := range notes {
		if len(note) < 12 {
			t.Errorf("%s: got the note %q, want a sentence", pattern, note)
		}
		if strings.HasPrefix(pattern, "{") {
			if !used[pattern] {
				t.Errorf("%s: got a note, but no text has this placeholder", pattern)
			}
			continue
		}
		found := false
		for key := range english {
			found = found || matches(pattern, key)
		}
		if !found {
			t.Errorf("%s: got a note, but there is no such text", pattern)
		}
	}
	for _, pattern := range warnings {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(english)), func(key string) bool { return matches(pattern, key) }) {
			t.Errorf("%s: is in the list of texts that warn, but there is no such text", pattern)
		}
	}
}

// The terms that docs/translating.md lists are those of the catalogues.
func TestTermsAreInUse(t *testing.T) {
	raw, err := os.ReadFile("../../docs/translating.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	texts(t, func(tag, _, text string) { all[tag] += strings.ToLower(text) + "\n" })
	rows := regexp.MustCompile("(?m)^\\| `([a-z]{2})` \\| [^|]* \\|(.*)\\|$").FindAllStringSubmatch(string(raw), -1)
	if len(rows) != len(all) {
		t.Errorf("got terms of %d languages, want %d", len(rows), len(all))
	}
	for _, row := range rows {
		for cell := range strings.SplitSeq(row[2], "|") {
			for term := range strings.SplitSeq(cell, ",") {
				if term = strings.TrimSpace(term); term == "" || !strings.Contains(all[row[1]], strings.ToLower(term)) {
					t.Errorf("%s: the term %q is in no text", row[1], term)
				}
			}
		}
	}
}
