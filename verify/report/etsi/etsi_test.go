package etsi_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"trustcore/verify"
	"trustcore/verify/report/etsi"
	"trustcore/verify/trace"
)

// element is one of a written report.
type element struct {
	name       string
	attributes map[string]string
	text       string
	children   []*element
}

// read parses a report and refuses what is no well-formed XML.
func read(t testing.TB, report []byte) *element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(report))
	open := []*element{{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return open[0].children[0]
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, report)
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			top.children, open = append(top.children, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
}

// each calls f for the element and all in it.
func (e *element) each(f func(*element)) {
	f(e)
	for _, c := range e.children {
		c.each(f)
	}
}

// all are the elements on the path below this one.
func (e *element) all(path ...string) []*element {
	list := []*element{e}
	for _, name := range path {
		var next []*element
		for _, l := range list {
			for _, c := range l.children {
				if c.name == name {
					next = append(next, c)
				}
			}
		}
		list = next
	}
	return list
}

// value is the text of the one element on the path, "" for none.
func (e *element) value(path ...string) string {
	if list := e.all(path...); len(list) > 0 {
		return list[0].text
	}
	return ""
}

// holds checks what is true of every report, and returns its root: each reference names an object that is there, each
// signature, time-stamp and evidence record of the compact report stands in it with the same indications, and the same
// report gives the same octets.
func holds(t testing.TB, r *verify.Report) (*element, []byte) {
	t.Helper()
	out, err := etsi.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := etsi.Marshal(r); !bytes.Equal(out, again) {
		t.Error("two reports of one value differ")
	}
	root := read(t, out)
	refersToKnown(t, root)
	signatures := root.all("SignatureValidationReport")
	if len(r.Signatures) == 0 {
		if len(signatures) != 1 || signatures[0].value("SignatureValidationStatus",
			"MainIndication") != "urn:cef:dss:mainindication:noSignatureFound" {
			t.Error("a report without a signature does not say so")
		}
	} else if len(signatures) != len(r.Signatures) {
		t.Fatalf("%d signatures, want %d", len(signatures), len(r.Signatures))
	}
	for i := range r.Signatures {
		concludes(t, signatures[i], r.Signatures[i].Indication, r.Signatures[i].SubIndication)
	}
	stamps, records := everyStamp(r)
	agree(t, root, "timestamp", stamps)
	agree(t, root, "evidencerecord", records)
	return root, out
}

func refersToKnown(t testing.TB, root *element) {
	t.Helper()
	known := map[string]bool{}
	root.each(func(e *element) {
		if id := e.attributes["id"]; id != "" {
			if known[id] {
				t.Errorf("two objects have the id %s", id)
			}
			known[id] = true
		}
	})
	root.each(func(e *element) {
		for _, id := range strings.Fields(e.attributes["VOReference"]) {
			if !known[id] {
				t.Errorf("%s refers to %s, which is not there", e.name, id)
			}
		}
		if ids, there := e.attributes["VOReference"]; there && ids == "" {
			t.Errorf("%s refers to nothing", e.name)
		}
	})
}

func concludes(t testing.TB, e *element, want verify.Indication, sub verify.SubIndication) {
	t.Helper()
	got := strings.TrimPrefix(e.value("SignatureValidationStatus", "MainIndication"), "urn:etsi:019102:mainindication:")
	gotSub := strings.TrimPrefix(e.value("SignatureValidationStatus", "SubIndication"), "urn:etsi:019102:subindication:")
	if got != strings.ToLower(string(want)) || gotSub != string(sub) {
		t.Errorf("%s %s, want %s %s", got, gotSub, want, sub)
	}
	if len(e.all("ValidationConstraintsEvaluationReport", "ValidationConstraint")) == 0 && sub != verify.Generic {
		t.Error("no building block is reported")
	}
	for _, c := range e.all("ValidationConstraintsEvaluationReport", "ValidationConstraint", "ValidationStatus") {
		if c.value("MainIndication") != "urn:etsi:019102:mainindication:passed" &&
			len(c.all("AssociatedValidationReportData", "AdditionalValidationReportData", "ReportData")) == 0 {
			t.Error("a building block that did not pass does not say why")
		}
	}
}

// conclusion is an indication with its sub-indication.
type conclusion struct {
	verify.Indication
	verify.SubIndication
}

// everyStamp counts the conclusions on time-stamps and evidence records, wherever they stand.
func everyStamp(r *verify.Report) (stamps, records map[conclusion]int) {
	stamps, records = map[conclusion]int{}, map[conclusion]int{}
	count := func(list []verify.TimestampReport) {
		for _, t := range list {
			stamps[conclusion{t.Indication, t.SubIndication}]++
		}
	}
	each := func(list []verify.EvidenceRecordReport) {
		for _, e := range list {
			records[conclusion{e.Indication, e.SubIndication}]++
			count(e.Timestamps)
		}
	}
	count(r.Timestamps)
	each(r.EvidenceRecords)
	for i := range r.Signatures {
		count(r.Signatures[i].Timestamps)
		each(r.Signatures[i].EvidenceRecords)
	}
	return stamps, records
}

// agree compares the conclusions on objects of a type. A time-stamp that two signatures share is one object.
func agree(t testing.TB, root *element, kind string, want map[conclusion]int) {
	t.Helper()
	got := map[conclusion]int{}
	for _, o := range root.all("SignatureValidationObjects", "ValidationObject") {
		if o.value("ObjectType") != "urn:etsi:019102:validationObject:"+kind {
			continue
		}
		report := o.all("ValidationReport")
		if len(report) != 1 {
			t.Errorf("a %s has no report of its own", kind)
			continue
		}
		s := report[0].all("SignatureValidationStatus")[0]
		got[conclusion{verify.Indication(strings.ToUpper(strings.TrimPrefix(s.value("MainIndication"),
			"urn:etsi:019102:mainindication:"))),
			verify.SubIndication(strings.TrimPrefix(s.value("SubIndication"), "urn:etsi:019102:subindication:"))}]++
		if provides := o.all("POEProvisioning"); len(provides) > 0 &&
			s.value("MainIndication") != "urn:etsi:019102:mainindication:passed" {
			t.Errorf("a %s that did not pass proves an existence", kind)
		}
	}
	for c, n := range want {
		if got[c] == 0 || got[c] > n {
			t.Errorf("%s: %d are %v, want %d", kind, got[c], c, n)
		}
	}
	if extra := slices.DeleteFunc(slices.Collect(maps.Keys(got)),
		func(c conclusion) bool { return want[c] > 0 }); len(extra) > 0 {
		t.Errorf("%s: %v are not in the compact report", kind, extra)
	}
}

func TestNoTrace(t *testing.T) {
	if _, err := etsi.Marshal(&verify.Report{}); !errors.Is(err, etsi.ErrNoTrace) {
		t.Errorf("%v", err)
	}
}

// TestUnread: a file that was not read to its end says no less than the compact report.
func TestUnread(t *testing.T) {
	r := &verify.Report{Trace: &trace.Trace{ValidationTime: day}, Signatures: []verify.SignatureReport{
		{Indication: verify.Indeterminate, SubIndication: verify.Generic, Reasons: []string{"too large"}}}}
	root, out := holds(t, r)
	if got := root.value("SignatureValidationReport", "SignatureValidationStatus", "AssociatedValidationReportData",
		"AdditionalValidationReportData", "ReportData", "Value"); got != "too large" {
		t.Errorf("%q in %s", got, out)
	}
	valid(t, map[string][]byte{"unread": out})
}
