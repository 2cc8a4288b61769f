// SPDX-License-Identifier: Apache-2.0

package page

import "html/template"

// icons holds the paths of the pages' icons, 24 wide and high, by name. They are drawn here:
// a page loads no picture from elsewhere, and its policy allows none in a stylesheet.
var icons = map[string]string{
	"globe":    "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM3 12h18M12 3c4 4 4 14 0 18M12 3c-4 4-4 14 0 18",
	"down":     "m6 9 6 6 6-6",
	"check":    "m5 12.5 5 5L19 7.5",
	"cross":    "m7 7 10 10M17 7 7 17",
	"problem":  "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 7.5v5.5M12 16.5v.1",
	"shield":   "M12 3 5 6v5c0 4.6 3 8 7 10 4-2 7-5.4 7-10V6Z",
	"phone":    "M8.5 2.5h7a2 2 0 0 1 2 2v15a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-15a2 2 0 0 1 2-2ZM11 18.5h2",
	"computer": "M5 5h14v10H5ZM2.5 19h19",
	"copy":     "M12 4v11M7 11l5 5 5-5M5 20h14",
	"bin":      "M4 6.5h16M9 6V4h6v2M6.5 6.5 7.5 20h9l1-13.5",
	"power":    "M12 4v8M7.5 6.5a7 7 0 1 0 9 0",

	// What an application may get, by scope.
	"openid":         "M19.5 12A7.5 7.5 0 1 1 17 6.5M19.5 3.5V8h-4.5",
	"phone_number":   "M8.5 2.5h7a2 2 0 0 1 2 2v15a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-15a2 2 0 0 1 2-2ZM11 18.5h2",
	"profile":        "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM4.5 20c1-3.5 4-5 7.5-5s6.5 1.5 7.5 5",
	"email":          "M4.5 5.5h15a1.5 1.5 0 0 1 1.5 1.5v10a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 17V7a1.5 1.5 0 0 1 1.5-1.5ZM3.5 7l8.5 6 8.5-6",
	"address":        "M12 21s-7-6-7-11a7 7 0 0 1 14 0c0 5-7 11-7 11ZM12 7.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
	"truecaller":     "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 8v8M8 12h8",
	"offline_access": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 7v5l3 2",
}

// badges holds the paths of what stands in a circle at the head of a page, 56 wide and high:
// how a sign-in has ended.
var badges = map[string]string{
	"check":   "m18.5 29 6.5 7 13-15",
	"cross":   "m20.5 20.5 15 15M35.5 20.5l-15 15",
	"clock":   "M28 17v11l7 5",
	"differ":  "M19 23h18M19 33h18M33 16 23 40",
	"problem": "M28 16v15M28 39v.1",
	"power":   "M28 16v11M20.5 21a11 11 0 1 0 15 0",
	"windows": "M17 18h16v13H17ZM37 24h3v15H25v-3",
	"device":  "M17 18h22v15H17ZM23 39h10",
	"person":  "M28 16a6 6 0 1 0 0 12 6 6 0 0 0 0-12ZM17 40c1.5-5 6-7.5 11-7.5s9.5 2.5 11 7.5",
	"copy":    "M28 16v15M21.5 25.5l6.5 6.5 6.5-6.5M19 39h18",
	"bin":     "M18 21h20M24.5 20v-4h7v4M20.5 21 22 40h12l1.5-19",
}

// drawing returns functions of the templates that draw icons.
func drawing() template.FuncMap {
	return template.FuncMap{"icon": icon, "badge": badge}
}

// icon returns an icon, which screen readers pass over; "" if there is none of this name.
func icon(name string) template.HTML {
	path, ok := icons[name]
	if !ok {
		return ""
	}
	return template.HTML(`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="` + path + `"/></svg>`)
}

// badge returns a badge in one of the stylesheet's looks: good, bad, warn, dashed or "".
func badge(name, look string) template.HTML {
	return template.HTML(`<svg class="badge ` + template.HTMLEscapeString(look) + `" viewBox="0 0 56 56" aria-hidden="true"><circle cx="28" cy="28" r="26"/><path d="` + badges[name] + `"/></svg>`)
}
