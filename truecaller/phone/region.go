package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Region is the country of the number, ISO 3166-1 alpha-2, "" when its code is
// not a country's.
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

// International is the number whole, as people write it: +46 70 174 06 05.
func (n Number) International() string {
	parsed, err := phonenumbers.Parse(n.E164(), "")
	if err != nil {
		return n.E164()
	}
	return phonenumbers.Format(parsed, phonenumbers.INTERNATIONAL)
}

// IsRegion says whether region is a country that phone numbers are read in, in
// upper case.
func IsRegion(region string) bool {
	return len(region) == 2 && strings.ToUpper(region) == region && phonenumbers.GetCountryCodeForRegion(region) != 0
}
