// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

var update = flag.Bool("update", false, "write groups.txt and the numbers of the browser test anew")

const (
	groupsFile  = "groups.txt"
	numbersFile = "../../test/browser/testdata/numbers.json"
)

// The file says what the library's metadata says, and every number that is
// surely a mobile one follows a rule, which writes it as International does.
// After an update of the library: go test ./truecaller/phone -run Groups -update
func TestGroupsAreTheMetadatas(t *testing.T) {
	var b strings.Builder
	plans := allPlans(t)
	for i, p := range plans {
		if i%oneIn != 0 {
			continue
		}
		line := p.line()
		b.WriteString(line)
		r := rand.New(rand.NewPCG(7, uint64(p.code)))
		for range 60 {
			national := p.mobile.random(r)
			n, err := Parse("+"+strconv.Itoa(p.code)+national, "")
			if err != nil {
				continue // it belongs to another region of the same code, and is no mobile one there
			}
			if got := grouped(line, national); got != n.International() {
				t.Errorf("+%d %s is written %q, want %q", p.code, national, got, n.International())
				break
			}
		}
	}
	if oneIn > 1 {
		for line := range strings.Lines(b.String()) {
			if !strings.Contains(groups, line) {
				t.Errorf("%s has no line %s", groupsFile, line)
			}
		}
		return
	}
	numbers, err := json.MarshalIndent(samples(plans), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	generated(t, groupsFile, b.String())
	generated(t, numbersFile, string(numbers)+"\n")
}

// generated compares a generated file, or writes it.
func generated(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != want {
		t.Errorf("%s differs (%v); write it with: go test ./truecaller/phone -run Groups -update", file, err)
	}
}

func TestCountries(t *testing.T) {
	all := Countries()
	if len(all) != len(phonenumbers.GetSupportedRegions()) {
		t.Errorf("Countries() has %d, want %d as the metadata", len(all), len(phonenumbers.GetSupportedRegions()))
	}
	for i, c := range all {
		if !IsRegion(c.Region) || c.Code != phonenumbers.GetCountryCodeForRegion(c.Region) || i > 0 && all[i-1].Region >= c.Region {
			t.Errorf("Countries() has %+v, which is unknown, has another code, or is out of order", c)
		}
	}
}

// plan is what the metadata says about the mobile numbers of a calling code.
type plan struct {
	code    int
	regions []string
	trunk   string
	mobile  *automaton
	lengths [2]int32 // the least and the most digits of any number
	exit    string   // a pattern
}

func allPlans(t *testing.T) []plan {
	t.Helper()
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	patterns, lengths, exits := map[int][]string{}, map[int][]int32{}, map[int]string{}
	for _, m := range metadata.GetMetadata() {
		code := int(m.GetCountryCode())
		lengths[code] = append(lengths[code], m.GetGeneralDesc().GetPossibleLength()...)
		if before, seen := exits[code]; seen && before != m.GetInternationalPrefix() {
			t.Fatalf("the regions of +%d dial different prefixes: the script knows one", code)
		}
		exits[code] = m.GetInternationalPrefix()
		// Besides the trunk prefix, some countries dial more before a national number.
		if prefix := m.GetNationalPrefixForParsing(); prefix != m.GetNationalPrefix() && m.GetId() == phonenumbers.GetRegionCodeForCountryCode(code) {
			most := bits.Len32(newAutomaton(t, prefix).start.lengths()) - 1
			lengths[code] = append(lengths[code], slices.Max(lengths[code])+int32(min(most, 3)))
		}
		if p := m.GetMobile().GetNationalNumberPattern(); p != "" {
			patterns[code] = append(patterns[code], p)
		}
	}
	for _, r := range renumberings { // an old spelling is a number, too
		code, old := codeOf(Number{r.old}), newAutomaton(t, r.old+strings.Trim(r.rest.String(), "^$")).start.lengths()
		size := int32(len(strconv.Itoa(code)))
		lengths[code] = append(lengths[code], int32(bits.TrailingZeros32(old))-size, int32(bits.Len32(old))-1-size)
	}
	var all []plan
	for code := range phonenumbers.GetSupportedCallingCodes() {
		regions := phonenumbers.GetRegionCodesForCountryCode(code)
		if regions[0] == "001" { // no country's
			continue
		}
		slices.Sort(regions[1:])
		slices.Sort(patterns[code])
		mobile := newAutomaton(t, strings.Join(patterns[code], "|"))
		all = append(all, plan{
			code: code, regions: regions, trunk: phonenumbers.GetNddPrefixForRegion(regions[0], true), mobile: mobile,
			lengths: [2]int32{slices.Min(lengths[code]), slices.Max(lengths[code])}, exit: exits[code],
		})
	}
	slices.SortFunc(all, func(a, b plan) int { return a.code - b.code })
	return all
}

// A prefix is looked at until all numbers that begin with it are written alike,
// and at least this far, so that few numbers that do not exist follow a rule.
const leastPrefix, mostPrefix = 2, 6

// line is the plan's line in the file.
func (p plan) line() string {
	r := rand.New(rand.NewPCG(1, uint64(p.code)))
	prefixes := map[string][]string{} // by shape
	weight := map[string]float64{}
	var look func(prefix string, s *state)
	look = func(prefix string, s *state) {
		if s == nil {
			return
		}
		shapes, uniform := p.shapes(r, prefix, s)
		if len(prefix) >= leastPrefix && (uniform || len(prefix) == mostPrefix) {
			share := 1.0
			for range prefix {
				share /= 10
			}
			for _, shape := range shapes {
				prefixes[shape] = append(prefixes[shape], prefix)
				weight[shape] += share
			}
			return
		}
		for digit := range 10 {
			look(prefix+strconv.Itoa(digit), s.next(digit))
		}
	}
	look("", p.mobile.start)

	shapes := make([]string, 0, len(prefixes))
	for shape := range prefixes {
		shapes = append(shapes, shape)
	}
	slices.SortFunc(shapes, func(a, b string) int {
		if weight[a] != weight[b] {
			if weight[a] > weight[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	rules := make([]string, len(shapes))
	for i, shape := range shapes {
		rules[i] = strings.Join(folded(prefixes[shape]), ",") + "=" + shape
	}
	exit := p.exit
	if exit == "00" {
		exit = ""
	}
	return fmt.Sprintf("%d|%s|%s|%s|%d-%d|%s\n", p.code, strings.Join(p.regions, ""), p.trunk, strings.Join(rules, ";"),
		p.lengths[0], p.lengths[1], exit)
}

// shapes are how numbers that begin like this are written, one for each length,
// and whether there is no more than one for each. Numbers of every kind of the
// next two digits are looked at.
func (p plan) shapes(r *rand.Rand, prefix string, s *state) ([]string, bool) {
	uniform := true
	var shapes []string
	for length := range 16 {
		if s.lengths()&(1<<length) == 0 {
			continue
		}
		seen := ""
		for _, digits := range s.spread(r, length, 2) {
			shape := p.shape(prefix + digits)
			if seen != "" && shape != seen {
				uniform = false
				break
			}
			seen = shape
		}
		shapes = append(shapes, seen)
	}
	return shapes, uniform
}

// shape is how International writes a number, as sizes of its groups with what
// stands between them.
func (p plan) shape(national string) string {
	digits, _ := strconv.ParseUint(national, 10, 64)
	zeros := int32(len(national) - len(strings.TrimLeft(national, "0")))
	number := &phonenumbers.PhoneNumber{
		CountryCode: new(int32(p.code)), NationalNumber: &digits,
		ItalianLeadingZero: new(zeros > 0), NumberOfLeadingZeros: &zeros,
	}
	text := strings.TrimPrefix(phonenumbers.Format(number, phonenumbers.INTERNATIONAL), fmt.Sprintf("+%d ", p.code))
	var b strings.Builder
	size := 0
	for _, c := range text {
		if '0' <= c && c <= '9' {
			size++
			continue
		}
		b.WriteString(strconv.Itoa(size))
		b.WriteRune(c)
		size = 0
	}
	return b.String() + strconv.Itoa(size)
}

// grouped writes a number by a line of the file, as the script does.
func grouped(line, national string) string {
	fields := strings.Split(strings.TrimSpace(line), "|")
	for rule := range strings.SplitSeq(fields[3], ";") {
		prefixes, shape, _ := strings.Cut(rule, "=")
		if digitsIn(shape) != len(national) || !regexp.MustCompile("^(?:"+strings.ReplaceAll(prefixes, ",", "|")+")").MatchString(national) {
			continue
		}
		left := national
		text := regexp.MustCompile("[0-9]+").ReplaceAllStringFunc(shape, func(size string) string {
			n, _ := strconv.Atoi(size)
			group := left[:n]
			left = left[n:]
			return group
		})
		return "+" + fields[0] + " " + text
	}
	return ""
}

// digitsIn is how many digits a shape has room for.
func digitsIn(shape string) int {
	sum := 0
	for _, size := range regexp.MustCompile("[0-9]+").FindAllString(shape, -1) {
		n, _ := strconv.Atoi(size)
		sum += n
	}
	return sum
}

// samples are numbers for the test of the script: as they are typed at home and
// abroad, and as International writes them.
func samples(plans []plan) [][4]string {
	var all [][4]string
	for _, p := range plans {
		r := rand.New(rand.NewPCG(3, uint64(p.code)))
		for taken := 0; taken < 2; {
			national := p.mobile.random(r)
			n, err := Parse("+"+strconv.Itoa(p.code)+national, "")
			if err != nil {
				continue
			}
			atHome := p.trunk + national
			if again, err := Parse(atHome, p.regions[0]); err != nil || again != n {
				atHome = national // some countries dial their trunk prefix in other cases
			}
			all = append(all, [4]string{p.regions[0], atHome, n.E164(), n.International()})
			taken++
		}
	}
	return all
}
