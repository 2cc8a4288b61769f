// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/url"
	"strconv"

	"calleridp/provider/console"
	"calleridp/truecaller/phone"
)

// Console configures the operators' console, a web interface at admin_listen. Operators
// sign in to it with their phone, by this server.
type Console struct {
	// URL is where browsers reach admin_listen: https, host and port, without a path, like
	// https://admin.example.com:9443. Give it a host name of its own: cookies do not
	// tell ports apart. If unset, there is no console.
	URL string `yaml:"url"`
	// Numbers are the phone numbers of operators who may do everything, in international
	// format, like +46701740605. The first user who signs in to the console with a number
	// is its operator from then on.
	Numbers []Number `yaml:"numbers"`
	// Viewers are those of operators who may look at everything and change nothing.
	Viewers []Number `yaml:"viewers"`
	// Subs are users who are operators although their number had another user first, for
	// example after they have erased themselves.
	Subs []string `yaml:"subs"`
}

// checkConsole returns the operators of the console.
func (d *decoder) checkConsole(c Config) (operators []console.Operator) {
	if c.Console.URL == "" {
		if len(c.Console.Numbers)+len(c.Console.Viewers)+len(c.Console.Subs) > 0 {
			d.refuse("console.url", "missing; write where browsers reach admin_listen, like https://admin.example.com:9443")
		}
		return nil
	}
	at, err := url.Parse(c.Console.URL)
	switch {
	case err != nil || at.Host == "" || at.Scheme+"://"+at.Host != c.Console.URL || at.Scheme != "https":
		d.refuse("console.url", "%q is not an origin like https://admin.example.com:9443, without a path or a trailing slash", c.Console.URL)
	case c.Console.URL == c.Issuer:
		d.refuse("console.url", "it is the issuer; the console has an address of its own")
	}
	if c.AdminListen == "" {
		d.refuse("admin_listen", "missing; the console is served there, like 10.0.0.5:9443")
	}
	if len(c.Console.Numbers)+len(c.Console.Viewers) == 0 {
		d.refuse("console.numbers", "missing; write the phone numbers of operators, like [\"+46701740605\"]")
	}
	seen := map[phone.Number]bool{}
	for _, list := range []struct {
		key     string
		numbers []Number
		role    console.Role
	}{{"console.numbers", c.Console.Numbers, console.Admin}, {"console.viewers", c.Console.Viewers, console.Viewer}} {
		for i, text := range list.numbers {
			n, err := phone.Parse(string(text), "")
			key := list.key + "[" + strconv.Itoa(i) + "]"
			switch {
			case err != nil:
				d.refuse(key, "not a phone number in international format, like +46701740605")
			case seen[n.Line()]:
				d.refuse(key, "the number is listed twice")
			default:
				seen[n.Line()] = true
				operators = append(operators, console.Operator{Number: n, Role: list.role})
			}
		}
	}
	return operators
}
