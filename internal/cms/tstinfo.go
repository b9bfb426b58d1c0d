package cms

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"time"
)

// TSTInfo is what a time-stamping authority signs (RFC 3161, 2.4.2).
type TSTInfo struct {
	Raw           []byte
	Version       int
	Policy        OID
	HashAlgorithm []byte // AlgorithmIdentifier as encoded
	Imprint       []byte
	Serial        []byte    // contents octets
	Time          time.Time // genTime, UTC, with its fraction
	Accuracy      Accuracy
	Ordering      bool
	Nonce         *big.Int // nil when absent
	TSA           []byte   // GeneralName as encoded, nil when absent
	Extensions    [][]byte // Extension elements as encoded
}

// maxExtensions bounds the extensions of a TSTInfo and of a request.
const maxExtensions = 64

// ParseTSTInfo reads the DER (BER is taken) of a TSTInfo.
func ParseTSTInfo(data []byte) (*TSTInfo, error) {
	outer := newReader(data)
	r, e, err := outer.enter(tagSequence, "TSTInfo")
	if err != nil {
		return nil, err
	}
	if !outer.empty() {
		return nil, errors.New("TSTInfo: octets after it")
	}
	t := &TSTInfo{Raw: e.Raw}
	if err := t.readRequired(&r); err != nil {
		return nil, fmt.Errorf("TSTInfo: %w", err)
	}
	if err := t.readOptional(&r); err != nil {
		return nil, fmt.Errorf("TSTInfo: %w", err)
	}
	return t, nil
}

func (t *TSTInfo) readRequired(r *reader) error {
	var err error
	if t.Version, _, err = r.smallInt("version"); err != nil {
		return err
	}
	if t.Policy, err = r.oid("policy"); err != nil {
		return err
	}
	imprint, _, err := r.enter(tagSequence, "messageImprint")
	if err != nil {
		return err
	}
	alg, err := imprint.expect(tagSequence, "hashAlgorithm")
	if err != nil {
		return err
	}
	value, err := imprint.expect(tagOctetString, "hashedMessage")
	if err != nil {
		return err
	}
	serial, err := r.expect(tagInteger, "serialNumber")
	if err != nil {
		return err
	}
	t.HashAlgorithm, t.Imprint, t.Serial = alg.Raw, value.Content, serial.Content
	gen, err := r.expect(tagGeneralizedTime, "genTime")
	if err != nil {
		return err
	}
	if !genTimeForm.Match(gen.Content) {
		return fmt.Errorf("genTime %.40q is not of the form that RFC 3161, 2.4.2 demands", gen.Content)
	}
	t.Time, err = readTime(gen)
	return err
}

// genTimeForm is UTC with seconds, perhaps with a fraction that has neither a comma nor zeros at its end.
var genTimeForm = regexp.MustCompile(`^\d{14}(\.\d*[1-9])?Z$`)

func (t *TSTInfo) readOptional(r *reader) error {
	if r.peek() == tagSequence {
		accuracy, _, err := r.enter(tagSequence, "accuracy")
		if err != nil {
			return err
		}
		if err := t.Accuracy.read(&accuracy); err != nil {
			return err
		}
	}
	ordering, ok, err := r.optional(tagBoolean, "ordering")
	if err != nil {
		return err
	}
	t.Ordering = ok && len(ordering.Content) == 1 && ordering.Content[0] != 0
	nonce, ok, err := r.optional(tagInteger, "nonce")
	if err != nil {
		return err
	}
	if ok {
		t.Nonce = signedInteger(nonce.Content)
	}
	tsa, ok, err := r.optional(tagContext|tagConstructed, "tsa")
	if err != nil {
		return err
	}
	if ok {
		t.TSA = tsa.Content
	}
	if r.peek() == tagContext|tagConstructed|1 {
		if t.Extensions, err = r.set(tagContext|tagConstructed|1, "extensions", maxExtensions); err != nil {
			return err
		}
	}
	if !r.empty() {
		return errors.New("unknown fields at the end")
	}
	return nil
}

// ReadExtension tells what an Extension element is about, and whether it is critical.
func ReadExtension(der []byte) (id OID, critical bool, err error) {
	outer := newReader(der)
	in, _, err := outer.enter(tagSequence, "Extension")
	if err != nil {
		return "", false, err
	}
	x, err := in.extension()
	return x.Type, x.Critical, err
}

func (a *Accuracy) read(r *reader) error {
	for _, field := range []struct {
		tag   byte
		value *int
	}{{tagInteger, &a.Seconds}, {tagContext, &a.Millis}, {tagContext | 1, &a.Micros}} {
		e, ok, err := r.optional(field.tag, "accuracy")
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if len(e.Content) == 0 || len(e.Content) > 4 || e.Content[0]&0x80 != 0 {
			return errors.New("accuracy is out of range")
		}
		for _, b := range e.Content {
			*field.value = *field.value<<8 | int(b)
		}
		if field.tag != tagInteger && *field.value > 999 {
			return errors.New("accuracy is out of range")
		}
	}
	return nil
}

// signedInteger reads two's complement contents octets.
func signedInteger(content []byte) *big.Int {
	n := new(big.Int).SetBytes(content)
	if len(content) > 0 && content[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(content))))
	}
	return n
}
