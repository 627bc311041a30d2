# The three images of the service, and of its migrations.
#
#   docker build --target api .      REST; `python -m migrations` as well
#   docker build --target relay .    outbox to Kafka, and nothing else of the project
#   docker build --target worker .   the only one with a Docker client
#
# PYTHON_IMAGE is Debian 13 with Python 3.11 or later. python:3.13-slim will be the next Debian one
# day; the pins of Debian's packages below do not exist there, so take python:3.13-slim-trixie then,
# or new pins. Needs BuildKit, whose own frontend is enough: a `# syntax` line would pull another one.
ARG PYTHON_IMAGE=python:3.13-slim

# ---- what requirements.lock pins, each by its hash ----------------------------------------------
FROM ${PYTHON_IMAGE} AS packages
COPY requirements.lock /requirements.lock
# pip stands in an environment of its own, so that nothing of it is in the one that is kept.
#
# streaming-form-data has wheels for x86_64 alone. Elsewhere it is compiled from its source, which is
# held to its hash as well; setuptools and gcc, which compile it, are whatever is the newest.
# COMPILED=streaming-form-data does so anywhere.
ARG TARGETARCH
ARG COMPILED
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "$TARGETARCH" != amd64 ]; then COMPILED=streaming-form-data; fi \
    && if [ -n "$COMPILED" ]; then \
        headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))') \
        && if [ -e "$headers/Python.h" ]; then unset headers; fi \
        && apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
            gcc libc6-dev ${headers:+python3-dev}; \
    fi \
    && python3 -m venv --without-pip /opt/venv \
    && python3 -m venv /tmp/installer \
    && /tmp/installer/bin/python -m pip --python /opt/venv/bin/python \
        --disable-pip-version-check --no-input install \
        --require-hashes --no-deps --only-binary :all: ${COMPILED:+--no-binary "$COMPILED"} \
        --requirement /requirements.lock \
    && rm -rf /tmp/installer

# ---- what all three have in common --------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin \
        orchestrator
# Logs are lines, not blocks; the code cannot be written, so its bytecode is made here.
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY entrypoints/healthcheck.py /app/healthcheck.py
STOPSIGNAL SIGTERM

# ---- the relay ----------------------------------------------------------------------------------
FROM runtime AS relay
COPY relay /app/relay
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/app"]
USER 10001:10001
EXPOSE 3005
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "/app/healthcheck.py", "RELAY_PORT", "3005"]
CMD ["python", "-m", "relay"]

# ---- api and worker -----------------------------------------------------------------------------
FROM runtime AS service
COPY domain /app/domain
COPY application /app/application
COPY adapters /app/adapters
COPY entrypoints /app/entrypoints
COPY migrations /app/migrations
# A named volume that is mounted here takes its owner from this folder.
RUN ["python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/app"]
RUN mkdir -p /var/lib/orchestrator/build-contexts \
    && chown -R 10001:10001 /var/lib/orchestrator

FROM runtime AS worker
# From Debian: python-on-whales would fetch a client at run time if there were none. `tini` is
# process 1, for what a killed client leaves behind (its plugins) becomes a child of process 1, and
# Python does not collect children that it does not know.
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install --yes --no-install-recommends \
        'docker-cli=26.1.5*' 'docker-buildx=0.13.1*' 'tini=0.19.0*' \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && docker buildx version
COPY --from=service /app /app
COPY --from=service --chown=10001:10001 /var/lib/orchestrator /var/lib/orchestrator
ENV DOCKER_CONFIG=/tmp/.docker
USER 10001:10001
EXPOSE 3004
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "/app/healthcheck.py", "WORKER_PORT", "3004"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "entrypoints.worker"]

FROM service AS api
USER 10001:10001
EXPOSE 3003
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "/app/healthcheck.py", "PORT", "3003"]
CMD ["python", "-m", "entrypoints.http"]
