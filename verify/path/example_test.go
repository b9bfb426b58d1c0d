package path_test

import (
	"context"
	"fmt"
	"testing"

	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// A caller keeps one cache and one set of anchors for its lifetime, and asks once per certificate.
func ExampleValidate() {
	known, err := cache.New(cache.Config{Certificates: 10_000, Verdicts: 100_000})
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := func(rootDER, middleDER, leafDER []byte) {
		root, err := known.Parse(rootDER)
		if err != nil {
			fmt.Println("root:", err)
			return
		}
		middle, err := known.Parse(middleDER)
		if err != nil {
			fmt.Println("intermediate:", err)
			return
		}
		leaf, err := known.Parse(leafDER)
		if err != nil {
			fmt.Println("leaf:", err)
			return
		}
		anchor, err := path.AnchorFrom(root)
		if err != nil {
			fmt.Println("anchor:", err)
			return
		}
		anchors, err := path.NewAnchors(anchor)
		if err != nil {
			fmt.Println("anchors:", err)
			return
		}
		result := path.Validate(context.Background(), path.Request{
			Target: leaf, Pool: path.NewPool(middle), Anchors: anchors, Time: now, Cache: known,
			Purposes: []certificate.OID{certificate.PurposeClientAuth},
		})
		fmt.Printf("%v: %v\n", result.Valid, result.Reason().Code)
	}
	root, middle, leaf := exampleChain()
	ask(root, middle, leaf)
	ask(root, leaf, leaf)
	// Output:
	// true: ok
	// false: issuer not found
}

// exampleChain mints a chain; a real caller has it from a signature and the trusted lists.
func exampleChain() (root, middle, leaf []byte) {
	var fatal testing.TB = exampleFatal{}
	top := mint(fatal, nil, "root", nil, ca)
	between := mint(fatal, top, "middle", nil, ca)
	return top.cert.Raw, between.cert.Raw, mint(fatal, between, "leaf", nil).cert.Raw
}

// exampleFatal lets an example mint: it has no testing.T of its own.
type exampleFatal struct{ testing.TB }

func (exampleFatal) Helper()           {}
func (exampleFatal) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
