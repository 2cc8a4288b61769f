// SPDX-License-Identifier: Apache-2.0

package language

import (
	"os"
	"testing"

	"golang.org/x/text/language"
)

// loaded returns the built-in languages.
func loaded(t *testing.T) *Set {
	t.Helper()
	s, err := Load(os.DirFS(".."), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirection(t *testing.T) {
	for tag, want := range map[string]string{"en": "ltr", "ar": "rtl", "ur": "rtl", "he": "rtl", "pa": "ltr", "pa-Arab": "rtl"} {
		if got := direction(language.MustParse(tag)); got != want {
			t.Errorf("%s: got %s, want %s", tag, got, want)
		}
	}
}
