package e2e

import (
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

var pictures = flag.Bool("pictures", false, "take the pictures of the documents again, with Debian's chromium")

// picture takes a picture of the part of a web page inside frame, for the documents, where
// `make pictures` runs the test; elsewhere it does nothing.
func picture(t *testing.T, url, file string, frame image.Rectangle) {
	t.Helper()
	if !*pictures {
		return
	}
	whole := filepath.Join(t.TempDir(), "page.png")
	runTool(t, tool(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--window-size=%d,%d", frame.Max.X+500, frame.Max.Y+100), "--virtual-time-budget=15000", "--screenshot="+whole, url)
	page := readPicture(t, whole)
	part := image.NewRGBA(image.Rectangle{Max: frame.Size()})
	draw.Draw(part, part.Rect, page, frame.Min, draw.Src)
	to, err := os.Create(filepath.Join("..", "docs", "pictures", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(to, part); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}

func readPicture(t *testing.T, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
