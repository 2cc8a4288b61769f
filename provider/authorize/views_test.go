// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"testing"

	"calleridp/truecaller/phone"
)

// A mistake in a number and the sentence that explains it have the same name.
func TestProblemKindsAreThoseOfPhone(t *testing.T) {
	for kind, problem := range map[phone.Kind]ProblemKind{
		phone.Empty:       PhoneEmpty,
		phone.NotANumber:  PhoneNotANumber,
		phone.TooShort:    PhoneTooShort,
		phone.TooLong:     PhoneTooLong,
		phone.BadCountry:  PhoneCountry,
		phone.Invalid:     PhoneInvalid,
		phone.Landline:    PhoneLandline,
		phone.NeedsRegion: PhoneNeedsRegion,
	} {
		if string(kind) != string(problem) {
			t.Errorf("problem of the pages: got %q, want %q, as package phone says", problem, kind)
		}
	}
}
