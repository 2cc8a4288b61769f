// SPDX-License-Identifier: Apache-2.0

package truecaller_test

import (
	"fmt"

	"calleridp/truecaller"
)

func ExampleApp_DeepLink() {
	app := truecaller.App{
		Name: "Lingon & Söner",
		Key:  "app-key",
		OneTap: &truecaller.Dialog{
			CTAPrefix: "use",
			CTAColor:  "#0066CC",
		},
	}
	link, err := app.DeepLink("0123456789abcdef", "hi-IN")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(link)
	// Output:
	// truecallersdk://truesdk/web_verify?type=btmsheet&requestNonce=0123456789abcdef&partnerKey=app-key&partnerName=Lingon%20%26%20S%C3%B6ner&lang=hi&loginPrefix=continue&loginSuffix=login&ctaPrefix=use&ctaColor=%230066CC&skipOption=useanothernum
}

// Truecaller shows unknown words as nothing, so that a dialog with one is not
// offered.
func ExampleDialog() {
	app := truecaller.App{
		ID:     "shop",
		Name:   "Lingon",
		Key:    "app-key",
		OneTap: &truecaller.Dialog{LoginPrefix: "welcome"},
	}
	_, err := app.DeepLink("0123456789abcdef", "en")
	fmt.Println(err)
	// Output: truecaller: no one-tap link can be built: app "shop" is not valid
}
