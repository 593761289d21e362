import { setPersonality, signInAsGuest, viewer } from '../resolvers/accounts.ts';
import { instantOf } from '../resolvers/instant.ts';
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
      resolve: (user) => instantOf(user.createdAt),
    }),
    personality: t.expose('personality', {
      type: 'JSON',
      nullable: true,
      description: 'The default personalityContext of what the user sends.',
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

builder.mutationField('setPersonality', (t) =>
  t.field({
    type: User,
    description:
      'Sets the personalityContext of what is sent from now on without one. What was sent before stays as it is.',
    args: {
      personality: t.arg({
        type: 'JSON',
        description: 'An object of at most 16 KiB; null to forget it.',
      }),
    },
    resolve: (_, args, context) => setPersonality(args, context),
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
