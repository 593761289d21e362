import { signInAsGuest, viewer } from '../resolvers/accounts.ts';
import type { SignedIn, UserRow } from '../services/accounts.ts';
import { builder } from './builder.ts';
import { Node } from './node.ts';

const User = builder.objectRef<UserRow>('User').implement({
  description: 'An account.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.exposeID('id', { description: "The sub of the account's tokens." }),
    email: t.exposeString('email', { nullable: true, description: 'Guests have none.' }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When the account was made.',
      resolve: (user) => new Date(user.createdAt),
    }),
  }),
});

const AuthPayload = builder.objectRef<SignedIn>('AuthPayload').implement({
  description: 'What it takes to be signed in.',
  fields: (t) => ({
    accessToken: t.exposeString('accessToken', {
      description:
        'Goes along as "Authorization: Bearer …", or as authorization in connection_init.',
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it runs out.' }),
    user: t.expose('user', { type: User, description: 'Whose it is.' }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: User,
    description: 'Who is signed in.',
    resolve: (_, _args, context) => viewer(context),
  }),
);

builder.mutationField('signInAsGuest', (t) =>
  t.field({
    type: AuthPayload,
    description:
      'A new account without a name. Only where the server keeps its own accounts (no Supabase configured): CONFLICT elsewhere.',
    resolve: (_, _args, context) => signInAsGuest(context),
  }),
);
