"""Seals a PDF by pyHanko's own client of the Cloud Signature Consortium's API, and has pyHanko validate it.

pyhanko_csc.py URL CREDENTIAL CERTIFICATE KEY CA CLIENT_ID IN OUT CRL...

Makes OUT.v1 and OUT.v2, by the two versions of the API, with the CRLs in them.
"""
import asyncio
import ssl
import sys

import aiohttp
from asn1crypto.crl import CertificateList
from pyhanko.keys import load_certs_from_pemder
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import PdfSignatureMetadata, signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import csc_signer
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext


class Authorization(csc_signer.CSCAuthorizationManager):
    """Has the hashes authorized just before they are signed."""

    def __init__(self, session, info, credential):
        super().__init__(info, credential)
        self.session = session

    async def authorize_signature(self, hash_b64s):
        request = self.format_csc_auth_request(hash_b64s=hash_b64s)
        url = self.csc_session_info.endpoint_url('credentials/authorize')
        async with self.session.post(url, headers=self.auth_headers, json=request, raise_for_status=True) as response:
            return self.parse_csc_auth_response(await response.json())


async def main(url, credential, certificate, key, ca, client_id, source, target, *crls):
    context = trusting(ca, crls)
    tls = ssl.create_default_context(cafile=ca)
    tls.load_cert_chain(certificate, key)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        form = {'grant_type': 'client_credentials', 'client_id': client_id}
        async with session.post(url + '/csc/v1/oauth2/token', data=form, raise_for_status=True) as response:
            token = (await response.json())['access_token']
        for version in 'v1', 'v2':
            info = csc_signer.CSCServiceSessionInfo(url, credential, token, version)
            found = await csc_signer.fetch_certs_in_csc_credential(session, info)
            assert found.hash_pinning_required and found.max_batch_size == 256, found
            signer = csc_signer.CSCSigner(session, Authorization(session, info, found))
            await sign(signer, context, source, target + '.' + version)
            await validate(target + '.' + version, context)


def trusting(ca, crls):
    """Trusts the last certificate of the chain, and demands that each is known not to be revoked."""
    chain = list(load_certs_from_pemder([ca]))
    lists = []
    for path in crls:
        with open(path, 'rb') as file:
            lists.append(CertificateList.load(file.read()))
    return ValidationContext(trust_roots=[chain[-1]], other_certs=chain, crls=lists, allow_fetching=False, revocation_mode='require')


async def sign(signer, context, source, target):
    meta = PdfSignatureMetadata(field_name='Seal', md_algorithm='sha256', subfilter=SigSeedSubFilter.PADES,
                                embed_validation_info=True, validation_context=context)
    with open(source, 'rb') as document, open(target, 'wb+') as out:
        await signers.PdfSigner(meta, signer).async_sign_pdf(IncrementalPdfFileWriter(document), output=out)


async def validate(path, context):
    with open(path, 'rb') as document:
        status = await async_validate_pdf_signature(PdfFileReader(document).embedded_signatures[0], context)
    assert status.intact and status.valid and status.trusted, status.pretty_print_details()


asyncio.run(main(*sys.argv[1:]))
