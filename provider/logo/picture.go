// SPDX-License-Identifier: Apache-2.0

package logo

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
)

// Bounds of a picture. Its bytes are a stranger's choice, and few of them can ask for much
// memory or time.
const (
	maxSide   = 2048    // pixels
	maxPixels = 1 << 20 // of the whole picture: 8 MiB with 16 bits a channel
	maxScans  = 64      // of a progressive JPEG, each of which passes over all of it; usual are 10
	// shownSide is the longest side of what Convert returns, in pixels. Pages show 40, which
	// is at most 120 of a phone's.
	shownSide = 128
)

// ErrPicture means that something is not a picture that is shown.
var ErrPicture = errors.New("logo: not a picture that is shown")

// format is a format of pictures, known by its first bytes: neither a name nor a media type
// counts.
type format struct {
	magic  string
	config func(raw []byte) (image.Config, error)
	decode func(raw []byte) (image.Image, error)
}

// formats leaves SVG out, which is a document with scripts.
var formats = []format{
	{"\x89PNG\r\n\x1a\n",
		func(raw []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(raw)) },
		func(raw []byte) (image.Image, error) { return png.Decode(bytes.NewReader(raw)) }},
	{"\xff\xd8\xff",
		func(raw []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(raw)) },
		decodeJPEG},
	{"GIF8",
		func(raw []byte) (image.Config, error) { return gif.DecodeConfig(bytes.NewReader(raw)) },
		func(raw []byte) (image.Image, error) { return gif.Decode(bytes.NewReader(raw)) }}, // its first frame
}

// Convert re-encodes a picture in PNG, JPEG or GIF as a PNG of at most shownSide pixels a
// side. So nothing but pixels remains of what a stranger has made. The error wraps
// ErrPicture.
func Convert(raw []byte) (picture []byte, err error) {
	defer func() {
		if r := recover(); r != nil { // a decoder's mistake must not end the server
			picture, err = nil, fmt.Errorf("%w: the decoder failed: %v", ErrPicture, r)
		}
	}()
	for _, f := range formats {
		if !bytes.HasPrefix(raw, []byte(f.magic)) {
			continue
		}
		c, err := f.config(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPicture, err)
		}
		if err := checkSize(c.Width, c.Height); err != nil {
			return nil, err
		}
		decoded, err := f.decode(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPicture, err)
		}
		pixels, ok := decoded.(image.RGBA64Image)
		if !ok {
			return nil, fmt.Errorf("%w: %T", ErrPicture, decoded)
		}
		if err := checkSize(pixels.Bounds().Dx(), pixels.Bounds().Dy()); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := png.Encode(&b, shrink(pixels)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPicture, err)
		}
		return b.Bytes(), nil
	}
	return nil, fmt.Errorf("%w: neither PNG nor JPEG nor GIF", ErrPicture)
}

func checkSize(width, height int) error {
	if width < 1 || height < 1 || width > maxSide || height > maxSide || width*height > maxPixels {
		return fmt.Errorf("%w: it has %d×%d pixels; at most %d on a side and %d in all", ErrPicture, width, height, maxSide, maxPixels)
	}
	return nil
}

// decodeJPEG counts the scans first. In the data of a scan, 0xff is followed by a stuffed
// zero or by a marker that is no start of a scan (ITU-T T.81 §B.1.1.5), so none is missed.
func decodeJPEG(raw []byte) (image.Image, error) {
	if n := bytes.Count(raw, []byte{0xff, 0xda}); n > maxScans {
		return nil, fmt.Errorf("it has %d scans; at most %d", n, maxScans)
	}
	return jpeg.Decode(bytes.NewReader(raw))
}

// shrink returns a picture of at most shownSide pixels a side. Each of its pixels is the mean
// of those that it stands for.
func shrink(from image.RGBA64Image) image.Image {
	at := from.Bounds()
	width, height := at.Dx(), at.Dy()
	w, h := width, height
	if longest := max(w, h); longest > shownSide {
		w, h = max(1, w*shownSide/longest), max(1, h*shownSide/longest)
	}
	to := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			area := image.Rect(x*width/w, y*height/h, (x+1)*width/w, (y+1)*height/h).Add(at.Min)
			to.SetRGBA64(x, y, mean(from, area))
		}
	}
	return to
}

// mean returns the mean colour of an area that is not empty. Colours are premultiplied by
// their alpha, so that what is transparent has no colour.
func mean(from image.RGBA64Image, area image.Rectangle) color.RGBA64 {
	var r, g, b, a uint64
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := from.RGBA64At(x, y)
			r, g, b, a = r+uint64(c.R), g+uint64(c.G), b+uint64(c.B), a+uint64(c.A)
		}
	}
	n := uint64(area.Dx() * area.Dy())
	return color.RGBA64{R: uint16(r / n), G: uint16(g / n), B: uint16(b / n), A: uint16(a / n)}
}
