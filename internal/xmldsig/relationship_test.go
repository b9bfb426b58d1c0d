package xmldsig

import (
	"bytes"
	"errors"
	"testing"
)

const relationshipsHead = `<Relationships xmlns="` + namespaceRelationships + `" xmlns:f="urn:foreign" xmlns:mc="` + namespaceCompatibility + `"`

// chosen are the relationships rId1 and rId2 of a part, after the transform.
func chosen(t *testing.T, part string) (string, error) {
	t.Helper()
	d := mustParse(t, `<Signature xmlns="`+NamespaceDSig+`"><Transforms><Transform Algorithm="`+TransformRelationship+`">`+
		`<m:RelationshipReference xmlns:m="`+NamespaceOPCSignature+`" SourceId="rId1"/><m:RelationshipReference xmlns:m="`+NamespaceOPCSignature+`" SourceId="rId2"/>`+
		`</Transform></Transforms></Signature>`)
	transforms, err := ReadTransforms(d.Root().Child(NamespaceDSig, "Transforms"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = Process(&out, OctetData([]byte(part)), transforms, d.Root())
	return out.String(), err
}

func TestChosenRelationships(t *testing.T) {
	want := `<Relationships xmlns="` + namespaceRelationships + `"><Relationship Id="rId1" Target="a" TargetMode="Internal" Type="t"></Relationship>` +
		`<Relationship Id="rId2" Target="b" TargetMode="External" Type="t"></Relationship></Relationships>`
	for name, part := range map[string]string{
		"plain": `> <Relationship Id="rId3" Type="t" Target="c"/><Relationship TargetMode="External" Id="rId2" Type="t" Target="b">x</Relationship>` +
			`<Relationship Id="rId1" Type="t" Target="a"/> </Relationships>`,
		"ignorable": ` mc:Ignorable="f"><f:x><f:z/></f:x><Relationship Id="rId1" Type="t" Target="a" f:y="1"/>` +
			`<Relationship Id="rId2" Type="t" Target="b" TargetMode="External"/></Relationships>`,
	} {
		if got, err := chosen(t, relationshipsHead+part); err != nil || got != want {
			t.Errorf("%s: %v %s", name, err, got)
		}
	}
}

// TestForeignRelationships: what a reader has to understand, and might take for a relationship, is not passed over.
func TestForeignRelationships(t *testing.T) {
	one := `<Relationship Id="rId1" Type="t" Target="a"/></Relationships>`
	for name, part := range map[string]string{
		"element":                      `><f:Relationship Id="rId2" Type="t" Target="evil"/>` + one,
		"without a namespace":          `><Relationship xmlns="" Id="rId2" Type="t" Target="evil"/>` + one,
		"alternate content":            `><mc:AlternateContent><mc:Choice Requires="f"><Relationship Id="rId2" Type="t" Target="evil"/></mc:Choice></mc:AlternateContent>` + one,
		"nested":                       `><Relationships><Relationship Id="rId2" Type="t" Target="evil"/></Relationships>` + one,
		"attribute":                    `><Relationship Id="rId1" Type="t" Target="a" f:Target="evil"/></Relationships>`,
		"unknown attribute":            `><Relationship Id="rId1" Type="t" Target="a" target="evil"/></Relationships>`,
		"must understand":              ` mc:MustUnderstand="f">` + one,
		"own is ignorable":             ` xmlns:o="` + namespaceRelationships + `" mc:Ignorable="o">` + one,
		"compatibility is ignorable":   ` mc:Ignorable="mc"><mc:AlternateContent><mc:Fallback/></mc:AlternateContent>` + one,
		"content of what is ignorable": ` mc:Ignorable="mc f" mc:ProcessContent="f:x">` + one,
		"an unknown prefix":            ` mc:Ignorable="g"><Relationship xmlns="" Id="rId2" Type="t" Target="evil"/>` + one,
		"within a relationship":        `><Relationship Id="rId1" Type="t" Target="a"><Relationship Id="rId2" Type="t" Target="evil"/></Relationship></Relationships>`,
		"foreign within one":           ` mc:Ignorable="f"><Relationship Id="rId1" Type="t" Target="a"><f:Relationship Id="rId2" Type="t" Target="evil"/></Relationship></Relationships>`,
		"within what is ignorable":     ` mc:Ignorable="f"><f:x><Relationship Id="rId2" Type="t" Target="evil"/></f:x>` + one,
		"deep in it":                   ` mc:Ignorable="f"><f:x><f:y><Relationship Id="rId2" Type="t" Target="evil"/></f:y></f:x>` + one,
	} {
		if got, err := chosen(t, relationshipsHead+part); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v %s", name, err, got)
		}
	}
}

func TestTwoContexts(t *testing.T) {
	d := mustParse(t, `<SignatureMethod xmlns="`+NamespaceDSig+`" xmlns:x="urn:x" Algorithm="urn:a"><x:EdDSAContextString>QQ==</x:EdDSAContextString>`+
		`<x:EdDSAContextString>Qg==</x:EdDSAContextString></SignatureMethod>`)
	var m SignatureMethod
	if err := m.read(d.Root()); err == nil {
		t.Errorf("two contexts are taken: %q", m.Context)
	}
}
