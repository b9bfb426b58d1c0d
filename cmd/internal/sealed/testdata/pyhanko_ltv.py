"""pyHanko with what lies in a PDF and nothing else: pyhanko_ltv.py ROOT.pem FILE... Revocation information is demanded for every certificate
below the root, and comes from the security store alone. One line a signature or document time-stamp; 1 where one is not trusted."""
import logging
import sys

from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko.sign.validation.dss import DocumentSecurityStore

logging.disable(logging.CRITICAL)
with open(sys.argv[1], "rb") as f:
    root = x509.Certificate.load(pem.unarmor(f.read())[2])
passed = True
for name in sys.argv[2:]:
    with open(name, "rb") as f:
        reader = PdfFileReader(f)
        context = DocumentSecurityStore.read_dss(reader).as_validation_context(
            {"trust_roots": [root], "allow_fetching": False, "revocation_mode": "require"})
        for signature in reader.embedded_regular_signatures:
            status = validate_pdf_signature(signature, context, context)
            good = status.bottom_line and status.timestamp_validity is not None and status.timestamp_validity.trusted
            passed = passed and good
            print(name, "PASSED" if good else "REFUSED", status.summary())
        for stamp in reader.embedded_timestamp_signatures:
            status = validate_pdf_timestamp(stamp, context)
            good = status.intact and status.valid and status.trusted
            passed = passed and good
            print(name, "PASSED" if good else "REFUSED", status.summary())
sys.exit(0 if passed else 1)
