// SPDX-License-Identifier: Apache-2.0

package logo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// pictureOf returns a picture in one colour.
func pictureOf(width, height int, c color.Color) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	one := color.NRGBAModel.Convert(c).(color.NRGBA)
	p.Pix = bytes.Repeat([]byte{one.R, one.G, one.B, one.A}, width*height)
	return p
}

func asPNG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asGIF(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, p, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header returns a PNG that says how large it is, and has no pixels.
func header(width, height uint32) []byte {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)...)
	chunk = append(chunk, 8, 6, 0, 0, 0) // 8 bits, RGBA
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	return binary.BigEndian.AppendUint32(append(b, chunk...), crc32.ChecksumIEEE(chunk))
}

var red = color.NRGBA{R: 0xff, A: 0xff}

// What is a picture is drawn anew, small, in its colours and its proportions.
func TestConvert(t *testing.T) {
	clear := pictureOf(600, 300, color.NRGBA{G: 0xff}) // green that nobody sees
	for x := range 600 {
		for y := range 150 {
			clear.Set(x, y, red)
		}
	}
	sixteen := image.NewRGBA64(image.Rect(0, 0, 300, 300))
	for i := range sixteen.Pix {
		sixteen.Pix[i] = 0xff
	}
	moved := pictureOf(500, 500, red).SubImage(image.Rect(100, 100, 500, 300))
	for _, row := range []struct {
		name          string
		raw           []byte
		width, height int
		corner        color.NRGBA
	}{
		{"PNG", asPNG(t, pictureOf(256, 256, red)), 128, 128, red},
		{"JPEG", asJPEG(t, pictureOf(256, 128, red)), 128, 64, color.NRGBA{R: 0xfe, A: 0xff}},
		{"GIF", asGIF(t, pictureOf(128, 256, red)), 64, 128, red},
		{"small", asPNG(t, pictureOf(16, 9, red)), 16, 9, red},
		{"16 bits a channel", asPNG(t, sixteen), 128, 128, color.NRGBA{0xff, 0xff, 0xff, 0xff}},
		{"part of a picture", asPNG(t, moved), 128, 64, red},
		{"very wide", asPNG(t, pictureOf(2048, 2, red)), 128, 1, red},
		{"transparent below", asPNG(t, clear), 128, 64, red},
		{"as large as may be", asPNG(t, pictureOf(1024, 1024, red)), 128, 128, red},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, err := Convert(row.raw)
			if err != nil {
				t.Fatal(err)
			}
			got, err := png.Decode(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if got.Bounds() != image.Rect(0, 0, row.width, row.height) {
				t.Errorf("got %v, want %d×%d", got.Bounds(), row.width, row.height)
			}
			if c := color.NRGBAModel.Convert(got.At(0, 0)); c != row.corner {
				t.Errorf("got %v, want %v", c, row.corner)
			}
		})
	}
}

// What lies between colours is their mean, and what is transparent has no colour.
func TestConvertMixes(t *testing.T) {
	p := pictureOf(256, 256, color.NRGBA{G: 0xff}) // transparent
	for y := range 256 {
		for x := 0; x < 256; x += 2 {
			p.Set(x, y, red)
		}
	}
	out, err := Convert(asPNG(t, p))
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if c := color.NRGBAModel.Convert(got.At(60, 60)).(color.NRGBA); c.R != 0xff || c.G != 0 || c.A != 0x7f && c.A != 0x80 {
		t.Errorf("got %v, want red, half transparent", c)
	}
}

// progressive returns a JPEG with many scans of nothing.
func progressive(t testing.TB, scans int) []byte {
	t.Helper()
	raw := asJPEG(t, pictureOf(8, 8, red))
	start := bytes.Index(raw, []byte{0xff, 0xda})
	scan := raw[start : len(raw)-2]
	return append(append(bytes.Clone(raw[:start]), bytes.Repeat(scan, scans)...), 0xff, 0xd9)
}

func TestThreat_PicturesThatAttack(t *testing.T) {
	good := asPNG(t, pictureOf(64, 64, red))
	lying := asGIF(t, pictureOf(64, 64, red))
	lying[6], lying[7] = 8, 0 // its screen is smaller than its frame
	large := asGIF(t, pictureOf(64, 64, red))
	binary.LittleEndian.PutUint16(large[6:], 2048)
	binary.LittleEndian.PutUint16(large[8:], 600)
	for name, raw := range map[string][]byte{
		"nothing":                nil,
		"SVG":                    []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`),
		"HTML":                   []byte("<!doctype html><script>alert(1)</script>"),
		"HTML after a signature": []byte("\x89PNG\r\n\x1a\n<script>alert(1)</script>"),
		"WebP":                   []byte("RIFF\x24\x00\x00\x00WEBPVP8 "),
		"1×1000000":              header(1, 1000000),
		"1000000×1":              header(1000000, 1),
		"a bomb":                 header(2048, 2048),
		"2³¹×2³¹":                header(1<<31-1, 1<<31-1),
		"no pixels":              header(0, 0),
		"a header alone":         header(64, 64),
		"half a picture":         good[:len(good)/2],
		"a GIF beyond its edge":  lying,
		"half a GIF":             asGIF(t, pictureOf(64, 64, red))[:40],
		"half a JPEG":            asJPEG(t, pictureOf(64, 64, red))[:200],
		"a JPEG of 10000 scans":  progressive(t, 10000),
		"one pixel too much":     asPNG(t, pictureOf(1025, 1024, red)),
		"one side too long":      asPNG(t, pictureOf(2049, 1, red)),
		"a JPEG that is large":   asJPEG(t, pictureOf(2048, 600, red)),
		"a GIF that is large":    large,
		"a space before it":      append([]byte(" "), good...),
	} {
		if out, err := Convert(raw); !errors.Is(err, ErrPicture) || out != nil {
			t.Errorf("%s: got %d bytes, %v, want it refused", name, len(out), err)
		}
	}
}

// A file that is a picture and something else is only a picture afterwards.
func TestThreat_PolyglotPicture(t *testing.T) {
	const script = "<script>alert(1)</script>"
	picture := pictureOf(64, 64, red)
	comment := asJPEG(t, picture)
	segment := append([]byte{0xff, 0xfe, 0, byte(2 + len(script))}, script...)
	for name, raw := range map[string][]byte{
		"behind a PNG":        append(asPNG(t, picture), script...),
		"behind a GIF":        append(asGIF(t, picture), script...),
		"a comment of a JPEG": append(append(bytes.Clone(comment[:2]), segment...), comment[2:]...),
	} {
		out, err := Convert(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(string(out), "script") {
			t.Errorf("%s: got %q, want pixels alone", name, out)
		}
	}
}

// FuzzConvert: what comes out is a small PNG that its own conversion leaves as it is, or
// nothing.
func FuzzConvert(f *testing.F) {
	small := pictureOf(5, 3, color.NRGBA{R: 0x80, G: 0x40, A: 0x80})
	for _, raw := range [][]byte{asPNG(f, small), asJPEG(f, small), asGIF(f, small), header(3, 3), progressive(f, 3), []byte("<svg/>")} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := Convert(raw)
		if err != nil {
			if !errors.Is(err, ErrPicture) || out != nil {
				t.Fatalf("got %d bytes, %v", len(out), err)
			}
			return
		}
		c, err := png.DecodeConfig(bytes.NewReader(out))
		if err != nil || c.Width < 1 || c.Height < 1 || c.Width > shownSide || c.Height > shownSide {
			t.Fatalf("got %d×%d, %v", c.Width, c.Height, err)
		}
		if again, err := Convert(out); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("again: got %d bytes, %v, want the same", len(again), err)
		}
	})
}
