"""Settings, read once from the environment. In production a missing or weak value refuses the start."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


class BadSettings(Exception):
    """One clear line that names the setting and what it needs."""


@dataclass(frozen=True)
class Settings:
    """Every field is documented in the README's table of settings (held by a test)."""

    environment: str
    database_url: str
    state_folder: Path
    secret_key: str = field(repr=False)
    field_key: str = field(repr=False)
    trace_keys: tuple[str, ...] = field(repr=False)
    key_pepper: str = field(repr=False)
    checkpoint_key: str | None = field(repr=False)
    public_base_url: str
    platform_name: str
    pool_size: int
    read_cache_seconds: float
    rate_per_minute: int
    rate_burst: int
    max_upload_bytes: int
    trusted_proxies: int
    s3_endpoint_url: str | None
    s3_bucket: str | None
    s3_access_key: str | None = field(repr=False)
    s3_secret_key: str | None = field(repr=False)
    s3_region: str
    log_level: str
    # Notices by e-mail: none without a host. Notices to a webhook of the installation: none without an address.
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None = field(repr=False)
    smtp_from: str
    smtp_starttls: bool
    notice_webhook_url: str | None
    notice_webhook_secret: str | None = field(repr=False)
    # Payment by a gateway: only bank transfer without an address and a key.
    payment_api_base: str | None
    payment_api_key: str | None = field(repr=False)
    payment_api_version: str
    payment_means: tuple[str, ...]
    payment_merchant: str | None
    payment_timeout_seconds: float
    payment_webhook_secrets: tuple[str, ...] = field(repr=False)
    # Partners' webhooks may go to http and to this machine: for trying them out, refused in production.
    webhook_local: bool
    # A worker without a sign of life for so long is dead, and its jobs are taken by others.
    stalled_seconds: int
    # Whether this application is the partners' sandbox, not the marketplace itself.
    sandbox: bool = False

    @property
    def production(self) -> bool:
        return self.environment == "production"


def sandbox_of(settings: Settings) -> Settings:
    """The sandbox beside an installation: a state folder and a signing key of its own, and no way to the outside but
    partners' webhooks. The pepper of the keys stays, since they are made in the marketplace itself.
    """
    return replace(
        settings,
        sandbox=True,
        state_folder=settings.state_folder / "sandbox",
        checkpoint_key=None,
        read_cache_seconds=0.0,
        s3_bucket=None,
        smtp_host=None,
        notice_webhook_url=None,
        payment_api_base=None,
        payment_api_key=None,
    )


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BadSettings(f"{name} must be a whole number from {low} to {high}, not {text!r}")
    return int(text)


def _number(env: Mapping[str, str], name: str, default: float, high: float) -> float:
    text = env.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        raise BadSettings(f"{name} must be a number of seconds, not {text!r}") from None
    if not 0 <= value <= high:
        raise BadSettings(f"{name} must be from 0 to {high} seconds, not {text!r}")
    return value


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "0")
    if text not in ("0", "1"):
        raise BadSettings(f"{name} must be 0 or 1, not {text!r}")
    return text == "1"


def _webhook(env: Mapping[str, str], production: bool) -> str | None:
    url = env.get("NOTICE_WEBHOOK_URL") or None
    if url is None:
        return None
    if not url.startswith(("https://",) if production else ("https://", "http://")):
        raise BadSettings("NOTICE_WEBHOOK_URL must begin with https://")
    if len(env.get("NOTICE_WEBHOOK_SECRET", "")) < 32:
        raise BadSettings("NOTICE_WEBHOOK_URL needs NOTICE_WEBHOOK_SECRET of at least 32 characters")
    return url


@dataclass(frozen=True)
class _Payment:
    base: str | None
    key: str | None
    secrets: tuple[str, ...]
    means: tuple[str, ...]


def _payment(env: Mapping[str, str], production: bool) -> _Payment:
    base, key = env.get("PAYMENT_API_BASE") or None, env.get("PAYMENT_API_KEY") or None
    secrets = tuple(filter(None, env.get("PAYMENT_WEBHOOK_SECRETS", "").split(",")))
    means = tuple(filter(None, env.get("PAYMENT_MEANS", "alipay,wechat_pay").split(",")))
    if base is None:
        return _Payment(None, None, (), means)
    if not base.startswith(("https://",) if production else ("https://", "http://")):
        raise BadSettings("PAYMENT_API_BASE must begin with https://")
    if key is None or not means:
        raise BadSettings("PAYMENT_API_BASE needs PAYMENT_API_KEY and PAYMENT_MEANS")
    if len(secrets) > 2 or any(len(secret) < 16 for secret in secrets):
        raise BadSettings("PAYMENT_WEBHOOK_SECRETS takes one or two secrets of at least 16 characters")
    if production and not secrets:
        raise BadSettings("PAYMENT_API_BASE needs PAYMENT_WEBHOOK_SECRETS in production")
    return _Payment(base, key, secrets, means)


def _local_webhooks(env: Mapping[str, str], production: bool) -> bool:
    local = _switch(env, "WEBHOOK_LOCAL")
    if local and production:
        raise BadSettings("WEBHOOK_LOCAL must be 0 in production: partners could call into the own network")
    return local


def default_state_folder(env: Mapping[str, str]) -> Path:
    if env.get("MARKETPLACE_STATE"):
        return Path(env["MARKETPLACE_STATE"]).expanduser()
    from marketplace.embedded import default_state

    return default_state()


def _development_secret(folder: Path, name: str) -> str:
    """A random secret kept in the state folder, so that a development start needs no setting."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"development-{name}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    value = secrets.token_hex(32)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(value)
    return value


def from_environment(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raises BadSettings with one line."""
    env = os.environ if env is None else env
    environment = env.get("MARKETPLACE_ENV", "development")
    if environment not in ("development", "test", "production"):
        raise BadSettings(f"MARKETPLACE_ENV must be development, test or production, not {environment!r}")
    production = environment == "production"
    url = env.get("DATABASE_URL", "")
    if not url:
        raise BadSettings("DATABASE_URL is not set; script/server starts the embedded PostgreSQL and sets it")
    if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise BadSettings("DATABASE_URL must begin with postgresql://")
    state = default_state_folder(env)

    def secret(name: str) -> str:
        value = env.get(name, "")
        if value:
            if len(value) < 32 or len(set(value)) < 8:
                raise BadSettings(f"{name} must have at least 32 characters and not be a repeated pattern")
            return value
        if production:
            raise BadSettings(f"{name} must be set in production")
        return _development_secret(state, name.lower())

    base_url = env.get("PUBLIC_BASE_URL", "")
    if not base_url:
        if production:
            raise BadSettings("PUBLIC_BASE_URL must be set in production: the QR codes carry it")
        base_url = f"http://localhost:{env.get('PORT', '8000')}"
    if production and not base_url.startswith("https://"):
        raise BadSettings("PUBLIC_BASE_URL must begin with https:// in production")
    bucket = env.get("S3_BUCKET") or None
    payment = _payment(env, production)
    if bucket and not (env.get("S3_ACCESS_KEY") and env.get("S3_SECRET_KEY")):
        raise BadSettings("S3_BUCKET needs S3_ACCESS_KEY and S3_SECRET_KEY")
    settings = Settings(
        environment=environment,
        database_url=_driver(url),
        state_folder=state,
        secret_key=secret("SECRET_KEY"),
        field_key=secret("FIELD_KEY"),
        trace_keys=tuple(secret("TRACE_KEYS").split(",")),
        key_pepper=secret("KEY_PEPPER"),
        checkpoint_key=_checkpoint_key(env, production),
        public_base_url=base_url.rstrip("/"),
        platform_name=env.get("PLATFORM_NAME", "平凉消费帮扶集采平台"),
        pool_size=_integer(env, "DATABASE_POOL_SIZE", 4, 1, 100),
        read_cache_seconds=_number(env, "READ_CACHE_SECONDS", 2.0, 2.0),
        rate_per_minute=_integer(env, "RATE_PER_MINUTE", 600, 1, 1_000_000_000),
        rate_burst=_integer(env, "RATE_BURST", 100, 1, 1_000_000_000),
        max_upload_bytes=_integer(env, "MAX_UPLOAD_BYTES", 10_000_000, 1_000, 100_000_000),
        trusted_proxies=_integer(env, "TRUSTED_PROXIES", 0, 0, 5),
        s3_endpoint_url=env.get("S3_ENDPOINT_URL") or None,
        s3_bucket=bucket,
        s3_access_key=env.get("S3_ACCESS_KEY") or None,
        s3_secret_key=env.get("S3_SECRET_KEY") or None,
        s3_region=env.get("S3_REGION", "us-east-1"),
        log_level=env.get("LOG_LEVEL", "INFO"),
        smtp_host=env.get("SMTP_HOST") or None,
        smtp_port=_integer(env, "SMTP_PORT", 25, 1, 65_535),
        smtp_user=env.get("SMTP_USER") or None,
        smtp_password=env.get("SMTP_PASSWORD") or None,
        smtp_from=env.get("SMTP_FROM", "notice@localhost"),
        smtp_starttls=_switch(env, "SMTP_STARTTLS"),
        notice_webhook_url=_webhook(env, production),
        notice_webhook_secret=env.get("NOTICE_WEBHOOK_SECRET") or None,
        payment_api_base=payment.base,
        payment_api_key=payment.key,
        payment_api_version=env.get("PAYMENT_API_VERSION", "2023-08-16"),
        payment_means=payment.means,
        payment_merchant=env.get("PAYMENT_MERCHANT") or None,
        payment_timeout_seconds=_number(env, "PAYMENT_TIMEOUT_SECONDS", 6.0, 7.0),
        payment_webhook_secrets=payment.secrets,
        webhook_local=_local_webhooks(env, production),
        stalled_seconds=_integer(env, "WORKER_STALLED_SECONDS", 30, 1, 3_600),
    )
    return sandbox_of(settings) if _switch(env, "SANDBOX") else settings


def _checkpoint_key(env: Mapping[str, str], production: bool) -> str | None:
    from marketplace.journal.checkpoints import BadKey, verifier_key

    key = env.get("CHECKPOINT_KEY", "").strip()
    if not key:
        if production:
            raise BadSettings(
                "CHECKPOINT_KEY must be set in production; MARKETPLACE_ENV=development flask --app wsgi"
                " journal keygen makes one"
            )
        return None
    try:
        verifier_key(key)
    except BadKey:
        raise BadSettings("CHECKPOINT_KEY is not a signing key as `journal keygen` prints it") from None
    return key


def _driver(url: str) -> str:
    for prefix in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    raise BadSettings("DATABASE_URL must begin with postgresql://")
