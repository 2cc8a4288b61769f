// SPDX-License-Identifier: Apache-2.0

package phone_test

import (
	"errors"
	"fmt"

	"calleridp/truecaller/phone"
)

func ExampleParse() {
	number, err := phone.Parse("070-174 06 05", "SE")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(number) // masked, as every way of printing is
	fmt.Println(number.E164())
	fmt.Println(number.International())
	// Output:
	// +46•••••0605
	// +46701740605
	// +46 70 174 06 05
}

func ExampleParse_mistake() {
	_, err := phone.Parse("070-174 06 05", "") // a national number, and no region
	if mistake, ok := errors.AsType[*phone.ParseError](err); ok {
		fmt.Println(mistake.Kind)
	}
	// Output: phone_needs_region
}
