/* SPDX-License-Identifier: Apache-2.0 */
#include "image/sign.h"

#include <errno.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"

#define PEM_MAX_BYTES (1 * MIB)
#define CERTS_MAX     1000

#define DEFINE_OPENSSL_AUTO(type, fn)                                                              \
	static void type##_auto_free(type **p)                                                     \
	{                                                                                          \
		fn(*p);                                                                            \
	}

static void free_certs(STACK_OF(X509) * certs)
{
	sk_X509_pop_free(certs, X509_free);
}

typedef STACK_OF(X509) CERTS;
DEFINE_OPENSSL_AUTO(BIO, BIO_free_all)
DEFINE_OPENSSL_AUTO(CERTS, free_certs)
DEFINE_OPENSSL_AUTO(CMS_ContentInfo, CMS_ContentInfo_free)
DEFINE_OPENSSL_AUTO(EVP_PKEY, EVP_PKEY_free)
DEFINE_OPENSSL_AUTO(X509_STORE, X509_STORE_free)
#define auto_ssl(type) auto_with(type##_auto_free) type *

/* The newest complaint of OpenSSL, with its details. */
static int ssl_error(struct err *e, int code, const char *what)
{
	const char *data = NULL;
	int flags = 0;
	unsigned long n = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
	const char *reason = n ? ERR_reason_error_string(n) : NULL;

	if (!reason)
		reason = "unknown reason";
	if (data && *data && flags & ERR_TXT_STRING)
		err_set(e, code, "%s: %s: %s", what, reason, data);
	else
		err_set(e, code, "%s: %s", what, reason);
	ERR_clear_error();
	return -code;
}

/* Without this OpenSSL would ask for a password on the terminal. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return 0;
}

static int load_certs(const char *path, CERTS *out, struct err *e)
{
	autofree char *pem = NULL;
	size_t len;
	int r = file_read(path, PEM_MAX_BYTES, &pem, &len, e);
	int count = 0;

	if (r < 0)
		return r;
	auto_ssl(BIO) in = BIO_new_mem_buf(pem, (int)len);
	for (X509 *cert; (cert = PEM_read_bio_X509(in, NULL, no_password, NULL)); count++) {
		if (sk_X509_num(out) >= CERTS_MAX) {
			X509_free(cert);
			return err_set(e, EFBIG, "'%s': too many certificates", path);
		}
		sk_X509_push(out, cert);
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		r = ssl_error(e, EBADMSG, "certificate");
		return err_wrap(e, r, "'%s'", path);
	}
	ERR_clear_error();
	return count > 0 ? 0 : err_set(e, EBADMSG, "'%s': no certificate (PEM) in it", path);
}

static int load_key(const char *path, EVP_PKEY **out, struct err *e)
{
	autofree char *pem = NULL;
	size_t len;
	int r = file_read(path, PEM_MAX_BYTES, &pem, &len, e);

	if (r < 0)
		return r;
	auto_ssl(BIO) in = BIO_new_mem_buf(pem, (int)len);
	*out = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
	OPENSSL_cleanse(pem, len);
	if (*out)
		return 0;
	r = ssl_error(e, EBADMSG, "no private key (PEM without a password) in it");
	return err_wrap(e, r, "'%s'", path);
}

static int encode(CMS_ContentInfo *cms, char **out, size_t *out_len, struct err *e)
{
	unsigned char *der = NULL;
	int len = i2d_CMS_ContentInfo(cms, &der);

	if (len <= 0)
		return ssl_error(e, EPROTO, "encoding the signature");
	*out = xmemdup(der, (size_t)len);
	*out_len = (size_t)len;
	OPENSSL_free(der);
	return 0;
}

int sign_data(const void *data, size_t len, const char *key_path, const char *cert_path, char **out,
	size_t *out_len, struct err *e)
{
	const unsigned flags = CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP | CMS_PARTIAL;
	auto_ssl(CERTS) certs = sk_X509_new_null();
	auto_ssl(EVP_PKEY) key = NULL;
	int r = load_key(key_path, &key, e);

	if (r == 0)
		r = load_certs(cert_path, certs, e);
	if (r < 0)
		return r;
	if (len > INT32_MAX)
		return err_set(e, EFBIG, "too long to be signed");

	/* The first certificate is the key's own, further ones lead to an anchor. */
	X509 *own = sk_X509_value(certs, 0);
	if (X509_check_private_key(own, key) != 1) {
		ERR_clear_error();
		return err_set(e, EINVAL, "'%s' is not the key of the certificate '%s'", key_path,
			cert_path);
	}
	auto_ssl(BIO) in = BIO_new_mem_buf(data, (int)len);
	auto_ssl(CMS_ContentInfo) cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
	if (!cms || !CMS_add1_signer(cms, own, key, EVP_sha256(), flags))
		return ssl_error(e, EPROTO, "signing");
	for (int i = 1; i < sk_X509_num(certs); i++)
		if (!CMS_add1_cert(cms, sk_X509_value(certs, i)))
			return ssl_error(e, EPROTO, "signing");
	if (!CMS_final(cms, in, NULL, flags))
		return ssl_error(e, EPROTO, "signing");
	return encode(cms, out, out_len, e);
}

int sign_check_files(const char *key_path, const char *cert_path, struct err *e)
{
	if (!key_path != !cert_path)
		return err_set(e, EINVAL, "a signature needs both a key and its certificate");
	if (key_path && access(key_path, R_OK) < 0)
		return err_errno(e, "'%s'", key_path);
	if (cert_path && access(cert_path, R_OK) < 0)
		return err_errno(e, "'%s'", cert_path);
	return 0;
}

int sign_file(const char *path, const char *key_path, const char *cert_path, struct err *e)
{
	autofree char *sig_path = xasprintf("%s" SIGN_SUFFIX, path);
	autofree char *data = NULL, *sig = NULL;
	size_t len, sig_len;
	int r = file_read(path, INT32_MAX, &data, &len, e);

	if (r == 0)
		r = sign_data(data, len, key_path, cert_path, &sig, &sig_len, e);
	if (r == 0)
		r = file_replace(sig_path, sig, sig_len, 0644, e);
	return r;
}

static bool is_cert_name(const char *name)
{
	return str_ends(name, ".pem") || str_ends(name, ".crt") || str_ends(name, ".cert");
}

static int load_trust(const struct strv *trust, CERTS *out, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < trust->count; i++) {
		const char *path = trust->items[i];
		struct stat st;

		if (stat(path, &st) < 0)
			return err_errno(e, "'%s'", path);
		if (!S_ISDIR(st.st_mode)) {
			r = load_certs(path, out, e);
			continue;
		}
		autostrv names = {0};
		r = file_list(path, &names, e);
		for (size_t n = 0; r == 0 && n < names.count; n++) {
			autofree char *file = xasprintf("%s/%s", path, names.items[n]);

			if (is_cert_name(names.items[n]))
				r = load_certs(file, out, e);
		}
	}
	if (r == 0 && sk_X509_num(out) == 0)
		return err_set(e, ENOENT, "no trusted certificate");
	return r;
}

static X509_STORE *make_store(const CERTS *certs)
{
	X509_STORE *store = X509_STORE_new();

	for (int i = 0; i < sk_X509_num(certs); i++)
		X509_STORE_add_cert(store, sk_X509_value(certs, i));
	/* Any certificate given is an anchor; what it is for is the administrator's word. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
	return store;
}

static char *signer_name(CMS_ContentInfo *cms)
{
	STACK_OF(X509) *signers = CMS_get0_signers(cms);
	char name[256] = "unknown";

	if (signers && sk_X509_num(signers) > 0)
		X509_NAME_oneline(
			X509_get_subject_name(sk_X509_value(signers, 0)), name, sizeof(name));
	sk_X509_free(signers);
	return xstrdup(name);
}

/* A certificate that is over looks like a clock that is wrong, as after its battery was empty. */
static int verify_error(struct err *e)
{
	static const int of_time[] = {X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED};
	const char *data = NULL, *why = NULL;
	time_t now = time(NULL);
	char date[32] = "?";
	struct tm tm;

	ERR_peek_last_error_all(NULL, NULL, NULL, &data, NULL);
	for (size_t i = 0; data && i < ARRAY_LEN(of_time); i++)
		if (strstr(data, X509_verify_cert_error_string(of_time[i])))
			why = X509_verify_cert_error_string(of_time[i]);
	if (!why)
		return ssl_error(e, EKEYREJECTED, "wrong signature");
	ERR_clear_error();
	if (gmtime_r(&now, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	return err_set(e, EKEYREJECTED,
		"wrong signature: %s: the clock of this machine says %s, set it if that is not today",
		why, date);
}

int sign_verify(const void *data, size_t len, const void *sig, size_t sig_len,
	const struct strv *trust, char **signer, struct err *e)
{
	auto_ssl(CERTS) certs = sk_X509_new_null();
	const unsigned char *der = sig;
	int r = load_trust(trust, certs, e);

	if (r < 0)
		return r;
	if (len > INT32_MAX || sig_len > SIGN_MAX_BYTES)
		return err_set(e, EFBIG, "too long to be a signature");
	auto_ssl(CMS_ContentInfo) cms = d2i_CMS_ContentInfo(NULL, &der, (long)sig_len);
	if (!cms || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
		ERR_clear_error();
		return err_set(e, EKEYREJECTED, "not a signature (CMS, DER)");
	}
	auto_ssl(BIO) in = BIO_new_mem_buf(data, (int)len);
	auto_ssl(X509_STORE) store = make_store(certs);
	/* The anchors may also be the signer's own certificate, left out of the signature. */
	if (CMS_verify(cms, certs, store, in, NULL, CMS_BINARY | CMS_DETACHED) != 1)
		return verify_error(e);
	if (signer)
		*signer = signer_name(cms);
	return 0;
}
