// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Region returns the country of the number, ISO 3166-1 alpha-2, "" if its calling code
// is no country's.
func (n Number) Region() string {
	parsed, err := phonenumbers.Parse(n.E164(), "")
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); IsRegion(region) {
		return region
	}
	return ""
}

// International returns the whole number in the usual form: +46 70 174 06 05.
func (n Number) International() string {
	parsed, err := phonenumbers.Parse(n.E164(), "")
	if err != nil {
		return n.E164()
	}
	return phonenumbers.Format(parsed, phonenumbers.INTERNATIONAL)
}

// IsRegion reports whether region is an upper-case code of a country with phone
// numbers.
func IsRegion(region string) bool {
	return len(region) == 2 && strings.ToUpper(region) == region && phonenumbers.GetCountryCodeForRegion(region) != 0
}
