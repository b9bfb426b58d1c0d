package vectors

import "errors"

// judgeXMLDSig answers a case of kind xmldsig.
func judgeXMLDSig(line []byte) (any, error) {
	return nil, errors.New("XMLDSig is not judged yet")
}
