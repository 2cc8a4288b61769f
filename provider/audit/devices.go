// SPDX-License-Identifier: Apache-2.0

package audit

// The events of devices that ask for a sign-in (RFC 8628).
const (
	DeviceStarted     Name = "device.started"
	DeviceLimited     Name = "device.limited"
	DeviceCodeUnknown Name = "device.code_unknown"
	DeviceAllowed     Name = "device.allowed"
	DeviceDenied      Name = "device.denied"
)

var deviceEvents = []Description{
	{
		Name: DeviceStarted,
		Keys: keys("client network"),
		Text: "A device without a browser asked for a sign-in, and got codes.",
	},
	{
		Name: DeviceLimited,
		Keys: keys("client? network limit"),
		Per:  keys("network limit"),
		Text: "A budget refused the request of a device, or a user code that was tried.",
	},
	{
		Name: DeviceCodeUnknown,
		Keys: keys("network"),
		Per:  keys("network"),
		Text: "Someone entered a user code that no device waits with. Many of them are guesses.",
	},
	{
		Name: DeviceAllowed,
		Keys: keys("sub sid client"),
		Text: "A user allowed the request of a device.",
	},
	{
		Name: DeviceDenied,
		Keys: keys("sub? client network?"),
		Text: "Someone who knows a device's user code denied its request: on the page that asks whether they started it, or, with `sub`, at the consent prompt.",
	},
}
