// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// MayExist reports whether a user can have the number: a plan has it, also as a
// landline, or a newer plan may. No user has a freephone or other service's number.
func (n Number) MayExist() bool {
	r := read(n.E164(), "")
	return r.kind == "" && r.number == n.Line()
}

// mayBeAssigned reports whether a number that no plan has may be in a plan newer than ours: +1
// 624 went into service before the library had it. Such a number has a country, as many digits
// as mobile numbers there, and does not begin with what is dialled before a national number, or
// with a zero that mobile numbers there do not have. North America's have a form of their own
// (NPA-NXX), in which both begin with 2 to 9.
func mayBeAssigned(n *phonenumbers.PhoneNumber) bool {
	national := phonenumbers.GetNationalSignificantNumber(n)
	form, known := mobileForms()[int(n.GetCountryCode())]
	switch {
	case !known, form.lengths&(1<<len(national)) == 0:
		return false
	case national[0] == '0' && !form.zero, form.trunk != "" && strings.HasPrefix(national, form.trunk):
		return false
	case n.GetCountryCode() == 1:
		return national[0] >= '2' && national[3] >= '2'
	}
	return true
}

// mobileForm is what mobile numbers of a calling code have in common.
type mobileForm struct {
	trunk   string
	zero    bool   // some begin with 0
	lengths uint32 // bit n: there are some of n digits
}

// mobileForms returns the forms of groups.txt.
var mobileForms = sync.OnceValue(func() map[int]mobileForm {
	all := map[int]mobileForm{}
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(line, "|", 5) // a test compares the file with the metadata
		code, _ := strconv.Atoi(fields[0])
		form := mobileForm{trunk: fields[2]}
		for rule := range strings.SplitSeq(fields[3], ";") {
			begins, shape, _ := strings.Cut(rule, "=")
			for begin := range strings.SplitSeq(begins, ",") {
				first, _, _ := strings.Cut(begin, "]") // of a class, or more
				form.zero = form.zero || strings.HasPrefix(first, "0") || strings.HasPrefix(first, ".") || strings.HasPrefix(first, "[0")
			}
			length := 0
			for size := range strings.FieldsFuncSeq(shape, func(r rune) bool { return r < '0' || r > '9' }) {
				n, _ := strconv.Atoi(size)
				length += n
			}
			form.lengths |= 1 << length
		}
		all[code] = form
	}
	return all
})
