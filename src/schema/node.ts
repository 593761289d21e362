import { builder } from './builder.ts';

export const Node = builder.interfaceRef<{ readonly id: string }>('Node').implement({
  description: 'Something with an id of its own.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUID.' }),
  }),
});
