import './scalars.ts';
import './node.ts';
import './message.ts';
import './history.ts';
import './search.ts';
import './trend.ts';
import './events.ts';
import './user.ts';
import { builder } from './builder.ts';

builder.queryType({ description: 'What can be read.' });
builder.mutationType({ description: 'What can be changed.' });
builder.subscriptionType({ description: 'What can be listened to.' });

export const schema = builder.toSchema();
