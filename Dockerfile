# glibc, not musl: the HTTP client has no musl wheels.
FROM python:3.13-slim AS packages
COPY backend/requirements/runtime.txt /tmp/runtime.txt
RUN python -m venv --without-pip /opt/kiro2api \
    && pip --python /opt/kiro2api/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps --requirement /tmp/runtime.txt
COPY backend/src/kiro2api /opt/kiro2api/lib/python3.13/site-packages/kiro2api
RUN python -m compileall -q /opt/kiro2api/lib/python3.13/site-packages/kiro2api

FROM python:3.13-slim
LABEL org.opencontainers.image.title="kiro2api" \
      org.opencontainers.image.description="Anthropic and OpenAI clients on the Kiro accounts that you own" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin kiro2api
COPY --from=packages /opt/kiro2api /opt/kiro2api
ENV PATH=/opt/kiro2api/bin:$PATH \
    HOST=0.0.0.0 \
    PORT=8080 \
    KIRO_DB_PATH=/data/kiro2api.db
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Open as soon as the listener is; whether accounts are usable is what /readyz tells.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
ENTRYPOINT ["python", "-P", "-m", "kiro2api"]
CMD ["serve"]
