package client

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"calleridp/provider/claims"
	"calleridp/truecaller/phone"
)

// Problem is one thing that is wrong with a client. Key is the name of the
// setting, in the words of the config file.
type Problem struct{ Key, Text string }

func (p Problem) String() string { return p.Key + " " + p.Text }

// InvalidError holds everything that is wrong with a client. ID is "" for one that
// would have got a random one.
type InvalidError struct {
	ID       string
	Problems []Problem
}

func (e *InvalidError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	text := strings.Join(texts, "; ")
	if e.ID == "" {
		return text
	}
	return fmt.Sprintf("client %q: %s", e.ID, text)
}

// Algorithms are the algorithms that a client's ID tokens may be signed with;
// the first is the default.
var Algorithms = []string{"RS256", "ES256", "EdDSA"}

// Validate returns everything that is wrong with c, nothing for a good client.
func Validate(c Client) []Problem {
	var problems []Problem
	add := func(key, format string, args ...any) {
		problems = append(problems, Problem{key, fmt.Sprintf(format, args...)})
	}
	if !isID(c.ID) {
		add("id", "must be 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -")
	}
	if len(c.Name) > 200 || strings.ContainsFunc(c.Name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		add("name", "is longer than 200 bytes, or has invisible characters")
	}
	for _, link := range []struct{ key, value string }{{"logo_uri", c.LogoURI}, {"client_uri", c.URI}, {"tos_uri", c.TOSURI}, {"policy_uri", c.PolicyURI}} {
		if text := linkProblem(link.value); text != "" {
			add(link.key, "%s", text)
		}
	}
	if c.Public {
		if len(c.SecretHashes) > 0 {
			add("secret", "is set, but the client is public")
		}
		// RFC 7636 §1, RFC 9700 §2.1.1: nothing else binds a public client's code.
		if c.WithoutPKCE {
			add("without_pkce", "is for confidential clients only: a public client always needs PKCE (RFC 9700 §2.1.1)")
		}
	} else if len(c.SecretHashes) == 0 {
		add("secret", "is missing; a client without one must be public")
	}
	// A native application may do without: nobody is sent back to it.
	if len(c.RedirectURIs) == 0 && !c.Native {
		add("redirect_uris", "is empty")
	}
	for _, uri := range c.RedirectURIs {
		if text := redirectProblem(uri); text != "" {
			add("redirect_uris", "%q %s", uri, text)
		}
	}
	for _, uri := range c.PostLogoutRedirectURIs {
		if text := redirectProblem(uri); text != "" {
			add("post_logout_redirect_uris", "%q %s", uri, text)
		}
	}
	for _, origin := range c.AllowedOrigins {
		if text := originProblem(origin); text != "" {
			add("allowed_origins", "%q %s", origin, text)
		}
	}
	for _, scope := range c.Scopes {
		if !slices.Contains(claims.Scopes, scope) {
			add("scopes", "%q is unknown; there are %s", scope, strings.Join(claims.Scopes, ", "))
		}
	}
	if len(c.Scopes) > 0 && !slices.Contains(c.Scopes, claims.OpenID) {
		add("scopes", "must have openid in it")
	}
	if c.IDTokenAlg != "" && !slices.Contains(Algorithms, c.IDTokenAlg) {
		add("id_token_signed_response_alg", "%q is unknown; there are %s", c.IDTokenAlg, strings.Join(Algorithms, ", "))
	}
	if c.Pairwise && c.Sector() == "" {
		add("sector_host", "is needed, because the redirect URIs do not have one host (OpenID Connect Core §8.1)")
	}
	if strings.ContainsAny(c.SectorHost, "/:@ ") {
		add("sector_host", "is not a host name")
	}
	if c.DefaultMaxAge != nil && *c.DefaultMaxAge < 0 {
		add("default_max_age", "is negative")
	}
	if c.Native && c.Consent != ConsentNone {
		add("native", "is for the operator's own applications: there is no page that could ask for consent")
	}
	if _, ok := ParseConsent(string(c.Consent)); !ok {
		add("consent", "%q is unknown; there are none, remember and always", c.Consent)
	}
	if _, err := ParseAccent(c.Colour, c.ColourDark); err != nil {
		add("colour", "%v", err)
	}
	if text := CountriesProblem(c.Countries); text != "" {
		add("countries", "%s", text)
	}
	if c.Region != "" && !phone.IsRegion(c.Region) {
		add("region", "%q is not a country as in ISO 3166-1 alpha-2, in upper case", c.Region)
	}
	return problems
}

// maxCountries is how many countries are worth a place before all the others.
const maxCountries = 20

// CountriesProblem says what is wrong with the countries that a list starts
// with, "" for nothing.
func CountriesProblem(regions []string) string {
	if len(regions) > maxCountries {
		return fmt.Sprintf("has %d countries; more than %d at the top of a list help nobody", len(regions), maxCountries)
	}
	for i, region := range regions {
		if !phone.IsRegion(region) {
			return fmt.Sprintf("%q is not a country as in ISO 3166-1 alpha-2, in upper case", region)
		}
		if slices.Contains(regions[:i], region) {
			return fmt.Sprintf("has %s twice", region)
		}
	}
	return ""
}

// AllowsScope says whether the client may ask for the scope.
func (c Client) AllowsScope(scope string) bool {
	return len(c.Scopes) == 0 || slices.Contains(c.Scopes, scope)
}

// SigningAlg is the algorithm of the client's ID tokens.
func (c Client) SigningAlg() string {
	if c.IDTokenAlg == "" {
		return Algorithms[0]
	}
	return c.IDTokenAlg
}

func isID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte("._~-", c) < 0 {
			return false
		}
	}
	return true
}
