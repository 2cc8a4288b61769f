package phone

import (
	"slices"
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

// Country is a country that has phone numbers. Several share a code: +1 is that
// of the United States, Canada and others.
type Country struct {
	Region  string // ISO 3166-1 alpha-2
	Code    int    // calling code, without a plus
	Example string // a mobile number that Parse reads in Region, as it is dialled there where possible; "" when none is known
}

// CountryCodes are all countries, by region, for a list to pick from. The list
// is made anew at each call, which takes milliseconds: keep it.
func CountryCodes() []Country {
	var all []Country
	for region := range phonenumbers.GetSupportedRegions() {
		if !IsRegion(region) {
			continue
		}
		c := Country{Region: region, Code: phonenumbers.GetCountryCodeForRegion(region)}
		if example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE); example != nil {
			c.Example = phonenumbers.Format(example, phonenumbers.NATIONAL)
			if _, err := Parse(c.Example, region); err != nil { // some countries dial mobiles from abroad differently
				c.Example = phonenumbers.Format(example, phonenumbers.INTERNATIONAL)
			}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Country) int { return strings.Compare(a.Region, b.Region) })
	return all
}
