package seal_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"trustcore/hsm/seal"
	"trustcore/hsm/seal/gather"
	"trustcore/hsm/seal/sealtest"
	"trustcore/internal/fetch"
)

// Example seals a document for long, and renews the seal years later. Here an authority of the tests answers; an
// office has the addresses of its own one, and a key behind the HSM gateway.
func Example() {
	authority, end := sealtest.Start()
	defer end()
	signer := authority.Sealer(authority.Officer)

	address := authority.URL + "/tsa"
	client, err := fetch.Configured(fetch.Config{Timeout: 10 * time.Second}, address)
	if err != nil {
		fmt.Println(err)
		return
	}
	anchors := []*x509.Certificate{authority.Root.Certificate}
	tsa, err := seal.OpenTSA(seal.TSAConfig{Address: address, Client: client, Anchors: anchors})
	if err != nil {
		fmt.Println(err)
		return
	}
	gatherer, err := gather.New(gather.Config{Anchors: anchors, Strangers: authority.Strangers()})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	documents := []seal.Document{
		{Name: "decyzja.txt", MimeType: "text/plain", Content: []byte("Decyzja nr 7")},
		{Name: "załączniki/plan.txt", MimeType: "text/plain", Content: []byte("Plan")},
	}
	container, err := seal.Seal(ctx, documents, signer, seal.Options{
		Format: seal.FormatXAdES, Packaging: seal.ASiCE, Level: seal.LevelLT, Time: time.Now(),
		TSA: tsa, Collect: gatherer.Collect,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := seal.Extend(ctx, container, nil, seal.Options{Level: seal.LevelLT, TSA: tsa,
		Collect: gatherer.Collect}); err != nil {
		fmt.Println(err)
	}
	for range 2 { // now, and once more when the time-stamp grows old
		container, err = seal.Extend(ctx, container, nil, seal.Options{Level: seal.LevelLTA, TSA: tsa,
			Collect: gatherer.Collect})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%s", container[30:][:len("mimetypeapplication/vnd.etsi.asic-e+zip")])
	// Output:
	// extending a seal: the seal has that level already
	// mimetypeapplication/vnd.etsi.asic-e+zip
}
