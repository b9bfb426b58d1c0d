package asic

import (
	"crypto/x509"
	"reflect"
	"testing"

	"trustcore/verify/signature"
)

// TestPackage: what a container says of itself is told as it stands there.
func TestPackage(t *testing.T) {
	s, tsu := newSigner(t, "officer-1"), newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	manifest := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", umowa)}
	signed := entry{"META-INF/signature.p7s", string(s.cades(t, []byte(manifest.content)))}
	archive := entry{"META-INF/ASiCArchiveManifest.xml", manifestOf("META-INF/timestamp.tst", signed, manifest, umowa)}
	stamp := entry{"META-INF/timestamp.tst", string(tsu.stamp(t, []byte(archive.content)))}
	listed := entry{"META-INF/manifest.xml", `<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">` +
		`<m:file-entry m:full-path="/" m:media-type="x"/><m:file-entry m:full-path="` + umowa.name + `"/>` +
		`<m:file-entry m:full-path="META-INF/signature.p7s"/><m:file-entry m:full-path="absent.txt"/></m:manifest>`}
	lost := entry{"META-INF/ASiCManifest2.xml", manifestOf("META-INF/absent.p7s", umowa)}
	doc := open(t, pack(t, "e", umowa, manifest, signed, archive, stamp, listed, lost))
	want := &signature.Package{Container: signature.ASiCE, Mimetype: "application/vnd.etsi.asic-e+zip", HasMimetype: true,
		Files: []string{umowa.name}, Manifests: []signature.Manifest{
			{Name: manifest.name, Target: signed.name, Files: []string{umowa.name}},
			{Name: lost.name, Files: []string{umowa.name}},
			{Name: archive.name, Target: stamp.name, Files: []string{signed.name, manifest.name, umowa.name}},
			{Name: listed.name, Files: []string{umowa.name}}}}
	if got := doc.Package(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v,\nwant %+v", got, want)
	}
	if got := doc.Signatures[0].Timestamps[0].Filename; got != stamp.name {
		t.Errorf("the time-stamp is said to lie in %q", got)
	}
}
