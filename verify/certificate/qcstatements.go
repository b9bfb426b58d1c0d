package certificate

import (
	"errors"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxStatements bounds the QCStatements of one certificate; real ones have fewer than 10.
const MaxStatements = 100

// Statement identifiers of RFC 3739 3.2.6 and EN 319 412-5 4.
const (
	statementSyntaxV2    OID = "\x2b\x06\x01\x05\x05\x07\x0b\x02"
	statementCompliance  OID = "\x04\x00\x8e\x46\x01\x01"
	statementLimit       OID = "\x04\x00\x8e\x46\x01\x02"
	statementRetention   OID = "\x04\x00\x8e\x46\x01\x03"
	statementSSCD        OID = "\x04\x00\x8e\x46\x01\x04"
	statementPDS         OID = "\x04\x00\x8e\x46\x01\x05"
	statementType        OID = "\x04\x00\x8e\x46\x01\x06"
	statementLegislation OID = "\x04\x00\x8e\x46\x01\x07"
)

func (c *Certificate) readQCStatements(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return errMalformed
	}
	q := &QCStatements{Retention: -1}
	c.QC = q
	for !body.Empty() {
		var entry, id cryptobyte.String
		if len(q.Raw) == MaxStatements {
			return errors.New("too many statements")
		}
		if !body.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
			return errMalformed
		}
		s := Statement{ID: OID(id)}
		if !entry.Empty() {
			s.Info = entry
		}
		q.Raw, q.Statements = append(q.Raw, s), append(q.Statements, s.ID)
		if !q.read(s.ID, entry) {
			// One unreadable statement says nothing about the others.
			c.find(MalformedExtension, ExtQCStatements, "statement "+s.ID.String())
		}
	}
	return nil
}

// read takes one statement; false when its information cannot be read.
func (q *QCStatements) read(id OID, info cryptobyte.String) bool {
	switch id {
	case statementCompliance:
		q.Compliance = true
	case statementSSCD:
		q.SSCD = true
	case statementRetention:
		n, err := readCount(&info, asn1.INTEGER)
		if err != nil {
			return false
		}
		q.Retention = n
	case statementLimit:
		return q.readLimit(info)
	case statementPDS:
		return q.readPDS(info)
	case statementType:
		return readOIDs(info, &q.Types)
	case statementLegislation:
		return q.readLegislation(info)
	case statementSyntaxV2:
		var body, semantics cryptobyte.String
		if info.Empty() {
			return true
		}
		if !info.ReadASN1(&body, asn1.SEQUENCE) {
			return false
		}
		if body.PeekASN1Tag(asn1.OBJECT_IDENTIFIER) && body.ReadASN1(&semantics, asn1.OBJECT_IDENTIFIER) {
			q.SemanticsID = OID(semantics)
		}
	}
	return true
}

func readOIDs(info cryptobyte.String, list *[]OID) bool {
	var body, id cryptobyte.String
	if !info.ReadASN1(&body, asn1.SEQUENCE) {
		return false
	}
	for !body.Empty() {
		if !body.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
			return false
		}
		*list = append(*list, OID(id))
	}
	return true
}

func (q *QCStatements) readLimit(info cryptobyte.String) bool {
	var body, text cryptobyte.String
	var tag asn1.Tag
	if !info.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadAnyASN1(&text, &tag) {
		return false
	}
	limit := &QCLimit{Currency: latin1(text)}
	if tag == asn1.INTEGER {
		n := 0
		for _, b := range text {
			n = (n<<8 | int(b)) & 0xffff
		}
		limit.Currency = strconv.Itoa(n)
	}
	if !body.ReadASN1Integer(&limit.Amount) || !body.ReadASN1Integer(&limit.Exponent) {
		return false
	}
	q.Limit = limit
	return true
}

func (q *QCStatements) readPDS(info cryptobyte.String) bool {
	var body cryptobyte.String
	if !info.ReadASN1(&body, asn1.SEQUENCE) {
		return false
	}
	for !body.Empty() {
		var entry, url, language cryptobyte.String
		if len(q.PDS) == MaxStatements || !body.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadAnyASN1(&url, nil) ||
			!entry.ReadAnyASN1(&language, nil) {
			return false
		}
		q.PDS = append(q.PDS, PDSLink{URL: latin1(url), Language: latin1(language)})
	}
	return true
}

func (q *QCStatements) readLegislation(info cryptobyte.String) bool {
	var body, country cryptobyte.String
	if !info.ReadASN1(&body, asn1.SEQUENCE) {
		return false
	}
	for !body.Empty() {
		if len(q.Legislation) == MaxStatements || !body.ReadAnyASN1(&country, nil) {
			return false
		}
		q.Legislation = append(q.Legislation, latin1(country))
	}
	return true
}
